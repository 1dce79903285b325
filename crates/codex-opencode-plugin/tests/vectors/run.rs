//! Owns the run: every case of every file to the end, one line per file, and the closing count.

use std::{
    env, fs, panic,
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;

use super::{
    acquiring, ahead, answers, attempts, callbacks,
    case::{Case, Expect, Found, Outcome},
    choosing,
    compare::{Extras, compare},
    debug_log, files, identity,
    otherwise::Otherwise,
    pins, placeholder, quotas, races, renewals, sign_in, state, tools, upsert,
    world::World,
};

/// Passed and failed cases.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// What of a directory is judged.
struct Scope<'a> {
    /// Words that choose.
    wanted: &'a [String],
    /// Groups that wait for something.
    later: Vec<(String, String)>,
    /// What is done otherwise on purpose.
    otherwise: Otherwise,
}

/// Judges all vectors; the exit code says whether all passed.
pub(crate) fn main() -> ExitCode {
    // Like the usual harness: a word that is no option chooses what is run.
    let wanted: Vec<String> = env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    match run(&wanted) {
        Ok(tally) => {
            let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
            println!("\ntest result: {verdict}. {} passed; {} failed; 0 ignored", tally.passed, tally.failed);
            println!("vectors: {} passed, {} failed", tally.passed, tally.failed);
            if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            println!("{why}\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\nvectors: 0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[String]) -> Result<Tally, String> {
    placeholder::judge_itself()?;
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let (dir, later, otherwise) = if let Some(dir) = given_dir() {
        // A directory somebody names is judged whole.
        (dir, Vec::new(), Otherwise::default())
    } else {
        let otherwise = Otherwise::read(&read(&home.join("otherwise.txt"))?)?;
        (home.join("opencode"), later(&read(&home.join("later.txt"))?), otherwise)
    };
    let mut scope = Scope { wanted, later, otherwise };
    let entries = fs::read_dir(&dir).map_err(|error| format!("read {}: {error}", dir.display()))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    if files.is_empty() {
        return Err(format!("{} holds no vector file", dir.display()));
    }
    let mut all = Tally::default();
    for file in files {
        let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let tally = run_file(&name, &file, &mut scope);
        all = Tally { passed: all.passed + tally.passed, failed: all.failed + tally.failed };
    }
    // Where only some cases were run, the others' exceptions are not needed.
    for line in scope.otherwise.not_needed().into_iter().filter(|_| wanted.is_empty()) {
        println!("FAILED otherwise.txt: no case needs `{line}`");
        all.failed += 1;
    }
    Ok(all)
}

fn run_file(name: &str, file: &Path, scope: &mut Scope<'_>) -> Tally {
    let mut tally = Tally::default();
    let cases = read(file).and_then(|text| serde_json::from_str::<Value>(&text).map_err(|error| error.to_string()));
    let cases = cases.and_then(|file| file["cases"].as_array().cloned().ok_or_else(|| "no `cases`".to_owned()));
    let cases = cases.unwrap_or_else(|why| {
        println!("{name}: {why}");
        tally.failed += 1;
        Vec::new()
    });
    let (mut skipped, mut left_out, mut not_asked): (Vec<&str>, usize, usize) = (Vec::new(), 0, 0);
    for value in &cases {
        let group = value["group"].as_str().unwrap_or("(no group)");
        let title = format!("{name} {group}");
        if !scope.wanted.is_empty() && !scope.wanted.iter().any(|word| title.contains(word.as_str())) {
            not_asked += 1;
            continue;
        }
        if scope.later.iter().any(|(file, known)| file == name && known == group) {
            skipped.push(group);
            continue;
        }
        match judge(name, value, &mut scope.otherwise) {
            Ok(true) => tally.passed += 1,
            Ok(false) => left_out += 1,
            Err(why) => {
                println!("FAILED {title} `{}`: {why}", value["name"].as_str().unwrap_or("(no name)"));
                tally.failed += 1;
            }
        }
    }
    if tally.passed + tally.failed + left_out + skipped.len() + not_asked != cases.len() {
        println!("FAILED {name}: not every case was run or is named as an exception");
        tally.failed += 1;
    }
    skipped.dedup();
    let note = if skipped.is_empty() { String::new() } else { format!(" (later: {})", skipped.join(", ")) };
    let left_out = if left_out == 0 { String::new() } else { format!(" ({left_out} otherwise)") };
    println!("{name} {}/{}{note}{left_out}", tally.passed, tally.passed + tally.failed);
    tally
}

/// Judges a case; `false` when it is an exception as a whole.
fn judge(file: &str, value: &Value, otherwise: &mut Otherwise) -> Result<bool, String> {
    let case = Case::read(value)?;
    let name = value["name"].as_str().unwrap_or_default();
    let whole = decided(file, &case, &[]);
    let Err(why) = whole else { return Ok(true) };
    let but = otherwise.of((file, &case.group, name));
    if but.is_whole {
        return Ok(false);
    }
    if but.members.is_empty() {
        return Err(why);
    }
    decided(file, &case, &but.members).map(|()| true)
}

/// Judges a case but for these members.
fn decided(file: &str, case: &Case, but: &[String]) -> Result<(), String> {
    let world = World::new()?;
    // A panic is one failed case, not the end of the run.
    let found = panic::catch_unwind(panic::AssertUnwindSafe(|| perform(file, case, &world)));
    let found = found.map_err(|_| "panicked".to_owned())??;
    let mut scope = world.scope();
    let extras = if case.group == "sanitize" { Extras::None } else { Extras::Ours };
    let without = |value: &Value| but.iter().fold(value.clone(), |value, path| super::otherwise::without(value, path));
    match (&case.expect, found) {
        (Expect::Output(wanted), Outcome::Output(output)) => {
            compare(&without(wanted), &without(&output), extras, &mut scope)
        }
        (Expect::Throws(wanted), Outcome::Throws(message)) => {
            compare(wanted, &serde_json::json!({ "message": message }), extras, &mut scope)
        }
        (Expect::Note, Outcome::Output(Value::Null)) => Ok(()),
        (Expect::Note, found) => Err(format!("no judge of its own: {found:?}")),
        (Expect::Output(_), Outcome::Throws(message)) => Err(format!("refused: {message}")),
        (Expect::Throws(wanted), Outcome::Output(output)) => Err(format!("expected {wanted}, found {output}")),
    }
}

fn perform(file: &str, case: &Case, world: &World) -> Found {
    let group = case.group.as_str();
    let known = match file.split('-').next().unwrap_or_default() {
        "01" => identity::perform(group, case),
        "05" => state::perform(group, case),
        "06" => upsert::perform(group, case),
        "07" => files::perform(group, case, world),
        "08" => tools::perform(group, case),
        "09" => choosing::perform(group, case),
        "10" => answers::perform(group, case),
        "11" => pins::perform(group, case, world),
        "12" => attempts::perform(group, case, world),
        "14" => acquiring::perform(group, case, world),
        "15" => ahead::perform(group, case, world),
        "16" => quotas::perform(group, case, world),
        "25" => sign_in::perform(group, case, world),
        "26" => callbacks::perform(group, case, world).or_else(|| debug_log::perform(group, case, world)),
        "32" => debug_log::timing(group, case),
        "33" => races::perform(group, case, world).or_else(|| renewals::perform(group, case, world)),
        _ => None,
    };
    known.unwrap_or_else(|| Err("unknown group".to_owned()))
}

#[allow(clippy::disallowed_methods, reason = "the directory is named by the environment, and by nothing else")]
fn given_dir() -> Option<PathBuf> {
    // cargo runs a test in its package's directory; a relative name is meant from the workspace.
    let dir = PathBuf::from(env::var_os("CODEX_AUTH_VECTORS").filter(|dir| !dir.is_empty())?);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Some(if dir.is_absolute() || dir.exists() { dir } else { root.join(dir) })
}

#[allow(clippy::disallowed_methods, reason = "the vectors are no file of the store")]
fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("read {}: {error}", path.display()))
}

/// The lines `<file> <group>`; what follows a `#` is a remark.
fn later(text: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let mut words = line.split('#').next()?.split_whitespace().map(str::to_owned);
        Some((words.next()?, words.next()?))
    };
    text.lines().filter_map(line).collect()
}
