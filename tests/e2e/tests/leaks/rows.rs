//! Every command of the program as the leak test calls it. A command without a row fails the test.
//!
//! A new command is one line here: its name as the help has it, its words, and how it is run.

/// How a row is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// To its end.
    Runs,
    /// The same, and it may say no even where nothing is the matter.
    MayFail,
    /// The same, in a home where codex has no login.
    WithoutLogin,
    /// With somebody who opens the printed address and comes back from it.
    SignsIn,
    /// The same, as somebody who is not expected.
    SignsInAsAnother,
    /// With somebody who opens it elsewhere and pastes where the browser ended.
    Pastes,
    /// The same, with a paste that belongs to another attempt.
    PastesAnother,
    /// By device code, with somebody who says no to it.
    Denied,
    /// To its end; what it is for is a secret on standard output, which may stand there and nowhere else.
    HandsOut,
    /// To its end, beside an official client that runs without us and is told of.
    BesideAClient,
    /// Until it is told to stop; meanwhile callers come, good ones and bad ones.
    Serves,
    /// To its end, where nothing is the matter: it has a world of its own.
    Alone,
}

/// One call of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) command: &'static str,
    pub(crate) words: &'static [&'static str],
    pub(crate) how: How,
}

impl Row {
    /// Whether it is tried in trouble number `at`. At the usual size each command misses every third trouble, and each
    /// trouble a third of the commands; a command and those below it go together, because they need each other.
    pub(crate) fn is_tried_at(&self, at: usize, is_long: bool) -> bool {
        let family = |row: &Self| row.command.split(' ').next();
        let place = ROWS.iter().position(|row| family(row) == family(self)).unwrap_or_default();
        self.how != How::Alone && (is_long || !(place + at).is_multiple_of(3))
    }
}

const fn row(command: &'static str, words: &'static [&'static str], how: How) -> Row {
    Row { command, words, how }
}

/// In an order in which each finds what it needs: nothing is taken away before others have looked at it.
pub(crate) const ROWS: &[Row] = &[
    row("login", &["login", "--no-browser"], How::SignsIn),
    row("login", &["login", "--no-browser", "--account", "1", "--json"], How::SignsInAsAnother),
    row("login", &["login", "--device-auth"], How::Runs),
    row("login", &["login", "--device-auth", "--json"], How::Denied),
    row("login", &["login", "--manual"], How::Pastes),
    row("login", &["login", "--manual", "--account", "2"], How::PastesAnother),
    row("import-current", &["import-current"], How::Runs),
    row("list", &["list"], How::Runs),
    row("status", &["status", "--json"], How::Runs),
    row("switch", &["switch", "2"], How::Runs),
    row("switch", &["switch", "3"], How::BesideAClient),
    row("switch", &["switch", "99"], How::MayFail),
    row("unpin", &["unpin"], How::Runs),
    row("check", &["check"], How::MayFail),
    row("check", &["check", "--json"], How::MayFail),
    row("forecast", &["forecast", "--explain"], How::Runs),
    row("forecast", &["forecast", "--live", "--json"], How::MayFail),
    row("forecast", &["forecast", "--calibration"], How::Runs),
    row("best", &["best"], How::MayFail),
    row("best", &["best", "--live", "--json"], How::MayFail),
    row("why-selected", &["why-selected"], How::Runs),
    row("why-selected", &["why-selected", "--json"], How::Runs),
    row("what-if", &["what-if", "--strategy", "sequential", "--json"], How::Runs),
    row("run", &["run", "--", "exec", "hello"], How::Runs),
    row("rotation status", &["rotation", "status", "--json"], How::Runs),
    row("why-selected", &["why-selected", "--last", "--json"], How::MayFail),
    row("run", &["run", "--", "exec", "hello"], How::WithoutLogin),
    row("token", &["token", "--name", "ci", "--requests", "40", "--reopen"], How::HandsOut),
    row("token", &["token", "--json", "--account", "2"], How::HandsOut),
    row("token", &["token", "--config"], How::Runs),
    row("token", &["token", "--raw", "--account", "1", "--yes"], How::HandsOut),
    row("token list", &["token", "list"], How::Runs),
    row("token list", &["token", "list", "--json"], How::Runs),
    row("token revoke", &["token", "revoke", "ci"], How::MayFail),
    row("token revoke", &["token", "revoke", "--all"], How::Runs),
    row("token", &["token", "--name", "ci"], How::MayFail),
    row("serve", &["serve", "--json"], How::Serves),
    row("rotation disable", &["rotation", "disable"], How::Runs),
    row("rotation enable", &["rotation", "enable"], How::Runs),
    row("rotation strategy", &["rotation", "strategy", "hybrid"], How::Runs),
    row("export", &["export", "exports/pool.json", "--force"], How::Runs),
    row("import", &["import", "exports/pool.json", "--yes"], How::Runs),
    row("import", &["import", "exports/torn.json", "--yes"], How::MayFail),
    row("import", &["import", "exports/mixed-up.json", "--yes"], How::MayFail),
    row("backup", &["backup"], How::Runs),
    row("backup", &["backup", "mine"], How::MayFail),
    row("files", &["files"], How::Runs),
    row("account tag", &["account", "tag", "1", "team"], How::Runs),
    row("account untag", &["account", "untag", "1", "team"], How::Runs),
    row("account weight", &["account", "weight", "1", "2"], How::Runs),
    row("account pause", &["account", "pause", "3"], How::Runs),
    row("account unpause", &["account", "unpause", "3"], How::Runs),
    row("account drain", &["account", "drain", "3"], How::Runs),
    row("account undrain", &["account", "undrain", "3"], How::Runs),
    row("account reserve", &["account", "reserve", "1", "20"], How::Runs),
    row("account note", &["account", "note", "1", "mine"], How::Runs),
    row("account policy", &["account", "policy", "list", "--json"], How::Runs),
    row("budget limit", &["budget", "limit", "team", "--window", "day", "--requests", "9"], How::Runs),
    row("budget check", &["budget", "check", "team", "--json"], How::MayFail),
    row("budget list", &["budget", "list"], How::Runs),
    row("budget remove", &["budget", "remove", "team"], How::MayFail),
    row("profile show", &["profile", "show", "--json"], How::MayFail),
    row("profile bind", &["profile", "bind", "1"], How::MayFail),
    row("profile unbind", &["profile", "unbind"], How::MayFail),
    row("profile prefer", &["profile", "prefer", "team"], How::MayFail),
    row("profile avoid", &["profile", "avoid", "home"], How::MayFail),
    row("profile allow", &["profile", "allow", "gpt"], How::MayFail),
    row("profile deny", &["profile", "deny", "pro"], How::MayFail),
    row("profile weight", &["profile", "weight", "1", "2"], How::MayFail),
    row("profile budget", &["profile", "budget", "team"], How::MayFail),
    row("profile clear", &["profile", "clear"], How::MayFail),
    row("usage", &["usage", "--by", "account", "--json"], How::Runs),
    row("usage reconcile", &["usage", "reconcile"], How::Runs),
    row("usage rotate", &["usage", "rotate"], How::Runs),
    row("auth-store file", &["auth-store", "file"], How::Runs),
    row("wrapper status", &["wrapper", "status"], How::Runs),
    row("wrapper install", &["wrapper", "install"], How::Runs),
    row("wrapper remove", &["wrapper", "remove"], How::Runs),
    row("remove", &["remove", "3", "--yes"], How::Runs),
    row("remove", &["remove", "2", "--revoke", "--yes"], How::Runs),
    row("undo", &["undo", "--list"], How::Runs),
    row("undo", &["undo"], How::MayFail),
    row("restore", &["restore", "--list"], How::Runs),
    row("restore", &["restore", "--dry-run"], How::MayFail),
    row("reset", &["reset", "--yes"], How::Runs),
    row("list", &["list", "--no-such-flag"], How::MayFail),
    row("demo", &["demo"], How::Alone),
];

/// Commands that ask somebody over the network. Trouble there is tried with these, in the long run with all.
pub(crate) const ASKING: &[&str] =
    &["login", "check", "forecast", "best", "run", "token", "token revoke", "serve", "rotation status", "remove"];
