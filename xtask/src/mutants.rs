//! Kept breaking changes: each patch in `xtask/mutants/` must make the test it names fail.
//!
//! A patch begins with `# breaks: <package or test target> <part of the test's name>`; `git apply` skips that line.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::child::{self, Echo};
use crate::suites::{self, END_TO_END, Suite, Tally};
use crate::test;
use crate::workspace::Workspace;

const GIT_LIMIT: Duration = Duration::from_mins(2);

/// The packages whose programs the end-to-end tests start.
const PROGRAMS: [&str; 3] = ["codex-auth-cli", "codex-auth-testkit", "codex-opencode-plugin"];

/// One kept change and the test that must notice it.
#[derive(Debug, PartialEq, Eq)]
struct Mutant {
    name: String,
    patch: PathBuf,
    /// A package or test target.
    place: String,
    /// Part of the test's path inside its executable.
    test: String,
}

/// What became of one mutant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Caught,
    Survived,
    /// The code has moved on from under the patch.
    Unfit,
}

impl Fate {
    fn text(self) -> &'static str {
        match self {
            Self::Caught => "caught",
            Self::Survived => "SURVIVED",
            Self::Unfit => "UNFIT",
        }
    }
}

/// Applies each mutant whose name contains `wanted` in a scratch worktree of HEAD and returns the table of fates.
pub(crate) fn run(workspace: &Workspace, wanted: Option<&str>) -> Result<String, String> {
    let mutants = list(&workspace.root.join("xtask/mutants"), wanted)?;
    if mutants.is_empty() {
        return Err(match wanted {
            Some(name) => format!("no patch in xtask/mutants matches `{name}`"),
            None => "xtask/mutants holds no patch".to_owned(),
        });
    }
    let scratch = Scratch::open(workspace)?;
    scratch.hold(&mutants)?;
    let fates: Result<Vec<Fate>, String> =
        mutants.iter().map(|mutant| scratch.try_out(mutant).inspect(|fate| println!("{}", fate.text()))).collect();
    let fates = fates?;
    let table = table(&mutants, &fates);
    if fates.iter().all(|fate| *fate == Fate::Caught) {
        return Ok(table);
    }
    Err(format!("a kept breaking change went unnoticed, or fits the code no more\n{table}"))
}

fn list(dir: &Path, wanted: Option<&str>) -> Result<Vec<Mutant>, String> {
    let entries = fs::read_dir(dir).map_err(|e| format!("read {}: {e}", dir.display()))?;
    let mut patches: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    patches.retain(|path| path.extension().is_some_and(|extension| extension == "patch"));
    patches.sort();
    let mutants: Result<Vec<Mutant>, String> = patches.into_iter().map(read).collect();
    let mut mutants = mutants?;
    mutants.retain(|mutant| wanted.is_none_or(|name| mutant.name.contains(name)));
    // Side by side, so that what one place needs is built once.
    mutants.sort_by(|a, b| (&a.place, &a.name).cmp(&(&b.place, &b.name)));
    Ok(mutants)
}

fn read(patch: PathBuf) -> Result<Mutant, String> {
    let diff = fs::read_to_string(&patch).map_err(|e| format!("read {}: {e}", patch.display()))?;
    let (place, test) = breaks(&diff).ok_or_else(|| {
        format!("{} does not begin with `# breaks: <package or test target> <test>`", patch.display())
    })?;
    let name = patch.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Mutant { name, patch, place, test })
}

/// Reads the place and the test out of a patch's first line.
fn breaks(patch: &str) -> Option<(String, String)> {
    let (place, test) = patch.lines().next()?.strip_prefix("# breaks:")?.trim().split_once(' ')?;
    Some((place.to_owned(), test.trim().to_owned()))
}

/// A worktree of HEAD with a target directory of its own, shared by all mutants.
struct Scratch<'w> {
    workspace: &'w Workspace,
    tree: PathBuf,
}

impl<'w> Scratch<'w> {
    fn open(workspace: &'w Workspace) -> Result<Self, String> {
        let scratch = Self { workspace, tree: workspace.target.join("mutants/tree") };
        scratch.remove();
        let tree = scratch.tree.display().to_string();
        scratch.git(&workspace.root, &["worktree", "add", "--force", "--detach", &tree, "HEAD"])?;
        Ok(scratch)
    }

    /// Runs every named test without any change: a test that fails by itself catches nothing.
    fn hold(&self, mutants: &[Mutant]) -> Result<(), String> {
        let places: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.place.as_str()).collect();
        for place in places {
            let built = self.build(place)?;
            let mut held = BTreeSet::new();
            for mutant in mutants.iter().filter(|mutant| mutant.place == place) {
                if !held.insert(&mutant.test) {
                    continue;
                }
                let tally = self.run_test(&built, mutant)?;
                if tally.ran() == 0 || tally.failed > 0 {
                    let Mutant { name, place, test, .. } = mutant;
                    return Err(format!(
                        "{name}: without the change {tally:?} for `{test}` of {place}; it has to pass"
                    ));
                }
            }
        }
        Ok(())
    }

    fn try_out(&self, mutant: &Mutant) -> Result<Fate, String> {
        println!("\n{}: expects `{}` of {} to fail", mutant.name, mutant.test, mutant.place);
        self.git(&self.tree, &["checkout", "--quiet", "--force", "HEAD", "--", "."])?;
        self.git(&self.tree, &["clean", "--quiet", "-d", "--force"])?;
        let patch = mutant.patch.display().to_string();
        if self.git(&self.tree, &["apply", "--recount", "-C1", &patch]).is_err() {
            return Ok(Fate::Unfit);
        }
        let Ok(built) = self.build(&mutant.place) else { return Ok(Fate::Unfit) };
        let tally = self.run_test(&built, mutant)?;
        Ok(if tally.failed > 0 { Fate::Caught } else { Fate::Survived })
    }

    /// Builds what the tests of one place need, and no more: there are hundreds of changes to build.
    fn build(&self, place: &str) -> Result<Vec<Suite>, String> {
        let tree = Workspace::of(&self.tree, &self.target())?;
        let package = tree.package_with(place).ok_or_else(|| format!("no package has a test target `{place}`"))?;
        let mut packages = vec![package.to_owned()];
        if package == END_TO_END {
            packages.extend(PROGRAMS.map(str::to_owned));
        }
        suites::build(&tree, &packages)
    }

    /// Runs the one test a mutant names, against the programs built in the scratch tree.
    fn run_test(&self, built: &[Suite], mutant: &Mutant) -> Result<Tally, String> {
        let mut env = test::test_env(self.workspace, false)?;
        for (key, value) in &mut env {
            match key.as_str() {
                "CODEX_AUTH_BIN_DIR" => *value = self.target().join("debug").display().to_string(),
                "INSTA_WORKSPACE_ROOT" => *value = self.tree.display().to_string(),
                _ => {}
            }
        }
        let wanted = |suite: &&Suite| suite.package == mutant.place || suite.target == mutant.place;
        let tallies: Result<Vec<Tally>, String> =
            built.iter().filter(wanted).map(|suite| suite.run(&env, &[&mutant.test]).map(|(_, tally)| tally)).collect();
        Ok(tallies?.into_iter().sum())
    }

    fn target(&self) -> PathBuf {
        self.workspace.target.join("mutants/target")
    }

    fn git(&self, dir: &Path, args: &[&str]) -> Result<(), String> {
        let mut git = self.workspace.command("git");
        child::capture(git.current_dir(dir).args(args), GIT_LIMIT, Echo::Silent).map(drop).map_err(|e| e.to_string())
    }

    /// Forgets a worktree; there may be none.
    fn remove(&self) {
        let tree = self.tree.display().to_string();
        if self.tree.exists() {
            let _ = self.git(&self.workspace.root, &["worktree", "remove", "--force", &tree]);
        }
        let _ = self.git(&self.workspace.root, &["worktree", "prune"]);
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

fn table(mutants: &[Mutant], fates: &[Fate]) -> String {
    let width = mutants.iter().map(|mutant| mutant.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (mutant, fate) in mutants.iter().zip(fates) {
        let fate = fate.text();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:<width$}  {fate:<8}  {} {}", mutant.name, mutant.place, mutant.test);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_test() {
        let named = breaks("# breaks: e2e a_answers::a_with_a_login\ndiff --git a/x b/x\n");
        assert_eq!(named, Some(("e2e".to_owned(), "a_answers::a_with_a_login".to_owned())));
    }

    #[test]
    fn a_patch_without_a_test_is_refused() {
        assert_eq!(breaks("diff --git a/x b/x\n"), None);
        assert_eq!(breaks("# breaks: e2e\n"), None);
    }

    /// A row of the page: the patch and the test it names.
    fn row(line: &str) -> Option<(String, String)> {
        let mut cells = line.split('|').map(str::trim).skip(3);
        let code = |cell: &str| cell.strip_prefix('`')?.strip_suffix('`').map(str::to_owned);
        Some((code(cells.next()?)?, code(cells.next()?)?))
    }

    #[test]
    fn every_historic_bug_has_its_row_and_every_row_its_patch() {
        let workspace = Workspace::find().unwrap();
        let page = fs::read_to_string(workspace.root.join("docs/historic-bugs.md")).unwrap();
        let rows: Vec<(String, String)> = page.lines().filter_map(row).collect();
        let mutants = list(&workspace.root.join("xtask/mutants"), None).unwrap();
        for (patch, test) in &rows {
            let named = mutants.iter().find(|mutant| mutant.name == *patch);
            let named = named.unwrap_or_else(|| panic!("docs/historic-bugs.md names {patch}, which is no patch"));
            assert_eq!(named.test, *test, "the test of {patch}");
        }
        let historic = mutants.iter().filter(|mutant| mutant.name.starts_with("hb-"));
        for Mutant { name, .. } in historic.clone() {
            assert!(rows.iter().any(|(patch, _)| patch == name), "{name} has no row in docs/historic-bugs.md");
        }
        assert!(historic.filter(|mutant| mutant.place == "codex-auth-core").count() >= 30);
    }
}
