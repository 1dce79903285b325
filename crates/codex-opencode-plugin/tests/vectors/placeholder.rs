//! Owns the placeholders of `OPS.md`: what stands for a text that cannot be known beforehand.

use std::collections::BTreeMap;

use super::world::NOW;

/// What the placeholders of one case mean.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// `<ROOT>` and its kin, and the directories they stand for.
    roots: Vec<(&'static str, String)>,
    /// What each `<SAME:n>` turned out to be.
    same: BTreeMap<String, String>,
}

/// A part of an expected text.
#[derive(Debug)]
enum Token {
    Literal(String),
    Any,
    /// Non-empty text that holds the first and none of the second.
    Text(Vec<String>, Vec<String>),
    OneOf(Vec<String>),
    Same(String),
    Int(Option<(i64, i64)>),
    Size,
    RelPath(String),
    Url,
    /// So many characters, all of one kind.
    Run(usize, fn(char) -> bool),
    /// A number of milliseconds.
    Time,
    /// So many milliseconds after the clock of a case started, within a second.
    After(i64),
    /// The label of a wait of so many seconds, or up to two less.
    Wait(u64),
    /// Printable, and ours: product and version.
    UserAgent,
    /// A policy that loads nothing and is framed by nobody.
    Policy,
}

impl Scope {
    /// A case in which these roots mean these directories.
    pub(crate) fn with(roots: Vec<(&'static str, String)>) -> Self {
        Self { roots, same: BTreeMap::new() }
    }

    /// The text with its roots in place; for inputs and before matching.
    pub(crate) fn fill(&self, text: &str) -> String {
        self.roots.iter().fold(text.to_owned(), |text, (name, path)| text.replace(name, path))
    }

    /// Whether `found` is what `expect` stands for.
    pub(crate) fn matches(&mut self, expect: &str, found: &str) -> bool {
        let tokens = tokens(&self.fill(expect));
        let mut same = self.same.clone();
        let fits = fits(&tokens, found, &mut same);
        if fits {
            self.same = same;
        }
        fits
    }
}

/// Cuts an expected text into literal parts and placeholders. Unknown angle brackets are literal.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        let (before, from) = rest.split_at(open);
        push_literal(&mut tokens, before);
        if let Some((token, after)) = placeholder(from) {
            tokens.push(token);
            rest = after;
        } else {
            push_literal(&mut tokens, "<");
            rest = &from[1..];
        }
    }
    push_literal(&mut tokens, rest);
    tokens
}

fn push_literal(tokens: &mut Vec<Token>, text: &str) {
    if text.is_empty() {
        return;
    }
    match tokens.last_mut() {
        Some(Token::Literal(literal)) => literal.push_str(text),
        Some(_) | None => tokens.push(Token::Literal(text.to_owned())),
    }
}

/// The placeholder at the start of a text, and what follows it.
fn placeholder(text: &str) -> Option<(Token, &str)> {
    // The parts of these two may hold angle brackets themselves: they run to the last one.
    for name in ["<TEXT:", "<ONEOF:"] {
        if let Some(parts) = text.strip_prefix(name) {
            let (parts, after) = parts.split_at(parts.rfind('>')?);
            let parts: Vec<String> = parts.split(";;").map(str::to_owned).collect();
            let token = if name == "<ONEOF:" {
                Token::OneOf(parts)
            } else {
                let (without, with): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| part.starts_with('!'));
                Token::Text(with, without.into_iter().map(|part| part[1..].to_owned()).collect())
            };
            return Some((token, &after[1..]));
        }
    }
    let (name, after) = text[1..].split_once('>')?;
    let token = match name.split_once(':') {
        None => match name {
            "ANY" => Token::Any,
            "TEXT" => Token::Text(Vec::new(), Vec::new()),
            "INT" => Token::Int(None),
            "SIZE" => Token::Size,
            "URL" => Token::Url,
            "time" => Token::Time,
            "UA" => Token::UserAgent,
            "CSP" => Token::Policy,
            _ if name.starts_with("now+") => {
                Token::After(name.strip_prefix("now+")?.strip_suffix('s')?.parse::<i64>().ok()? * 1000)
            }
            _ if name.starts_with("WAIT~") => Token::Wait(name.strip_prefix("WAIT~")?.strip_suffix('s')?.parse().ok()?),
            "TS" => Token::Run(13, |c| c.is_ascii_digit()),
            "random" => Token::Run(43, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_'),
            _ => return None,
        },
        Some(("SAME", number)) => Token::Same(number.to_owned()),
        Some(("RELPATH", end)) => Token::RelPath(end.to_owned()),
        Some(("INT", range)) => {
            let (least, most) = range.split_once("..")?;
            Token::Int(Some((least.parse().ok()?, most.parse().ok()?)))
        }
        Some(_) => return None,
    };
    Some((token, after))
}

fn fits(tokens: &[Token], found: &str, same: &mut BTreeMap<String, String>) -> bool {
    let Some((token, rest)) = tokens.split_first() else { return found.is_empty() };
    if let Token::Literal(literal) = token {
        return found.strip_prefix(literal.as_str()).is_some_and(|after| fits(rest, after, same));
    }
    let ends = (0..=found.len()).rev().filter(|end| found.is_char_boundary(*end));
    for end in ends {
        let (here, after) = found.split_at(end);
        let mut bound = same.clone();
        if stands_for(token, here, &mut bound) && fits(rest, after, &mut bound) {
            *same = bound;
            return true;
        }
    }
    false
}

fn stands_for(token: &Token, here: &str, same: &mut BTreeMap<String, String>) -> bool {
    let whole = || here.parse::<i64>().ok();
    match token {
        Token::Literal(literal) => here == literal,
        Token::Any => true,
        Token::Text(with, without) => {
            !here.is_empty()
                && with.iter().all(|part| here.contains(part.as_str()))
                && !without.iter().any(|part| here.contains(part.as_str()))
        }
        Token::OneOf(choices) => choices.iter().any(|choice| choice == here),
        Token::Same(number) => match same.get(number) {
            Some(known) => known == here,
            None if here.is_empty() || same.values().any(|known| known == here) => false,
            None => same.insert(number.clone(), here.to_owned()).is_none(),
        },
        Token::Int(None) => whole().is_some(),
        Token::Int(Some((least, most))) => whole().is_some_and(|number| (*least..=*most).contains(&number)),
        Token::Size => whole().is_some_and(|number| number > 0),
        Token::RelPath(end) => !here.starts_with('/') && here.ends_with(end.as_str()),
        Token::Url => here.starts_with("https://") && here.len() > "https://".len() && !here.contains(' '),
        Token::Time => whole().is_some_and(|number| number > 0),
        Token::After(span) => whole().is_some_and(|at| (at - NOW.as_millis() - span).abs() <= 1000),
        Token::Wait(seconds) => (seconds.saturating_sub(2)..=*seconds).any(|wait| {
            let label = if wait < 60 { format!("{wait}s") } else { format!("{}m {}s", wait / 60, wait % 60) };
            label == here
        }),
        Token::UserAgent => {
            let is_printable = !here.is_empty() && here.chars().all(|c| c.is_ascii_graphic() || c == ' ');
            is_printable && here == format!("opencode-codex-auth/{}", env!("CARGO_PKG_VERSION"))
        }
        Token::Policy => here.contains("default-src 'none'") && here.contains("frame-ancestors 'none'"),
        Token::Run(length, kind) => here.chars().count() == *length && here.chars().all(kind),
    }
}

/// The placeholders judged before the vectors are: a runner that lets anything pass proves nothing.
pub(crate) fn judge_itself() -> Result<(), String> {
    let cases: [(&str, &str, bool); 30] = [
        ("plain", "plain", true),
        ("plain", "other", false),
        ("<html>", "<html>", true),
        ("<ANY>", "", true),
        ("<TEXT>", "", false),
        ("<TEXT:a;;b>", "b and a", true),
        ("<TEXT:a;;!c>", "a c", false),
        ("<TEXT:x <ROOT>/q.>", "see x /tmp/r/q.json", true),
        ("<TEXT:x <ROOT>/q.>", "see x /tmp/s/q.json", false),
        ("<ONEOF:a;;b>", "b", true),
        ("<ONEOF:a;;b>", "c", false),
        ("<INT:1..3>", "3", true),
        ("<INT:1..3>", "4", false),
        ("<SIZE>", "0", false),
        ("f.<TS>.json", "f.1790000000000.json", true),
        ("f.<TS>.json", "f.179.json", false),
        ("<RELPATH:b.md>", "a/b.md", true),
        ("<RELPATH:b.md>", "/a/b.md", false),
        ("<SAME:1>-<SAME:2>-<SAME:1>", "a-b-a", true),
        ("<SAME:1>-<SAME:2>", "a-a", false),
        ("<time>", "1790000000000", true),
        ("<time>", "soon", false),
        ("<now+100s>", "1790000100000", true),
        ("<now+100s>", "1790000102000", false),
        ("in <WAIT~61s> or", "in 1m 1s or", true),
        ("<WAIT~30s>", "27s", false),
        ("<UA>", concat!("opencode-codex-auth/", env!("CARGO_PKG_VERSION")), true),
        ("<UA>", "codex_cli_rs/1.0", false),
        ("<CSP>", "default-src 'none'; frame-ancestors 'none'", true),
        ("<CSP>", "default-src 'self'; frame-ancestors 'none'", false),
    ];
    for (expect, found, fits) in cases {
        let mut scope = Scope::with(vec![("<ROOT>", "/tmp/r".to_owned())]);
        if scope.matches(expect, found) != fits {
            return Err(format!("placeholder `{expect}` misjudges `{found}`"));
        }
    }
    Ok(())
}
