//! A command line nobody understands, in our words: what is wrong, the nearest match, and how it would be right.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::error::{CliError, capitalised};

/// The parser's complaint about a command line of `command` (the first word typed) as an error of ours.
pub(crate) fn misuse(error: &clap::Error, command: &str) -> CliError {
    let context = |kind| error.get(kind).and_then(text_of);
    if error.kind() == ErrorKind::InvalidSubcommand {
        let word = context(ContextKind::InvalidSubcommand).unwrap_or_default();
        let of = if word == command { String::new() } else { format!("{command} ") };
        let nearest = context(ContextKind::SuggestedSubcommand)
            .map_or_else(String::new, |nearest| format!("Did you mean `codex-multi-auth {of}{nearest}`? "));
        return CliError::usage(format!("Unknown {of}command: {word}"))
            .hint(format!("{nearest}Run `codex-multi-auth {of}--help` to see the commands."));
    }
    if matches!(command, "login" | "add")
        && let Some(error) = misused_login(error.kind(), context(ContextKind::InvalidArg))
    {
        return error;
    }
    let rendered = error.to_string();
    let mut parts = rendered.split("\n\n");
    let complaint = parts.next().unwrap_or_default().trim_start_matches("error: ");
    let complaint = complaint.split_whitespace().collect::<Vec<_>>().join(" ");
    let usage = context(ContextKind::Usage).or_else(|| {
        let line = parts.find(|part| part.starts_with("Usage:"))?;
        Some(line.to_owned())
    });
    let error = CliError::usage(capitalised(&complaint));
    match usage {
        Some(usage) => error.hint(usage.trim().to_owned()),
        None => error,
    }
}

/// The predecessor's words about `login`, which scripts may know.
fn misused_login(kind: ErrorKind, argument: Option<String>) -> Option<CliError> {
    let argument = argument?;
    if kind == ErrorKind::UnknownArgument {
        let error = CliError::usage(format!("Unknown login option: {argument}"));
        return Some(error.hint("Run `codex-multi-auth login --help` to see the options."));
    }
    let lacks_value = matches!(kind, ErrorKind::InvalidValue | ErrorKind::NoEquals);
    (lacks_value && argument.starts_with("--org")).then(missing_org)
}

/// `--org` without an id.
pub(crate) fn missing_org() -> CliError {
    CliError::usage("Missing value for --org. Usage: codex-multi-auth login --org <org_id>")
}

fn text_of(value: &ContextValue) -> Option<String> {
    match value {
        ContextValue::String(text) => Some(text.clone()),
        // The parser puts the nearest match last.
        ContextValue::Strings(texts) => texts.last().cloned(),
        ContextValue::StyledStr(text) => Some(text.to_string()),
        _ => None,
    }
}
