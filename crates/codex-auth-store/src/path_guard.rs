//! Owns which paths that somebody names may be written or read: a pure rule over text and over where links lead.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

/// Why a path is refused. Nothing was touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathRefused {
    /// It holds a NUL byte.
    #[error("Invalid path: contains a NUL byte")]
    Nul,
    /// By its text it lies outside.
    #[error("Access denied: path must be within {0}")]
    Outside(&'static str),
    /// A link on its way leads outside.
    #[error("Access denied: path resolves (via symlink) outside {0}")]
    LeadsOutside(&'static str),
}

/// The directories a named path may lie in.
#[derive(Debug, Clone)]
pub(crate) struct PathGuard<'a> {
    /// What they are called in a refusal.
    pub(crate) called: &'static str,
    /// The directories, as they are named.
    pub(crate) allowed: &'a [Utf8PathBuf],
}

impl PathGuard<'_> {
    /// The path, if it lies in one of the directories by its text, and so does what it leads to.
    ///
    /// `real` follows every link of a path that exists, and says nothing for one that does not.
    pub(crate) fn check(
        &self,
        path: &Utf8Path,
        real: &dyn Fn(&Utf8Path) -> Option<Utf8PathBuf>,
    ) -> Result<Utf8PathBuf, PathRefused> {
        if path.as_str().contains('\0') {
            return Err(PathRefused::Nul);
        }
        let named = lexically(path);
        let dirs: Vec<Utf8PathBuf> = self.allowed.iter().map(|dir| lexically(dir)).collect();
        if !dirs.iter().any(|dir| named.starts_with(dir)) {
            return Err(PathRefused::Outside(self.called));
        }
        let target = real_of(&named, real);
        if dirs.iter().any(|dir| target.starts_with(real_of(dir, real))) {
            return Ok(named);
        }
        Err(PathRefused::LeadsOutside(self.called))
    }
}

/// The path a person means: `~` and `~/` are the home directory; `~bob` is a name like any other.
pub fn expanded(path: &Utf8Path, home: &Utf8Path) -> Result<Utf8PathBuf, PathRefused> {
    match path.as_str() {
        text if text.contains('\0') => Err(PathRefused::Nul),
        "~" => Ok(home.to_owned()),
        text => Ok(text.strip_prefix("~/").map_or_else(|| path.to_owned(), |rest| home.join(rest))),
    }
}

/// Where a path leads, whether or not its end exists: its nearest ancestor that does, and the rest.
fn real_of(path: &Utf8Path, real: &dyn Fn(&Utf8Path) -> Option<Utf8PathBuf>) -> Utf8PathBuf {
    let found = path.ancestors().find_map(|ancestor| Some((ancestor, real(ancestor)?)));
    found.map_or_else(
        || path.to_owned(),
        |(ancestor, leads_to)| leads_to.join(path.strip_prefix(ancestor).unwrap_or(Utf8Path::new(""))),
    )
}

/// The path with `.` and `..` resolved by text.
fn lexically(path: &Utf8Path) -> Utf8PathBuf {
    path.components().fold(Utf8PathBuf::new(), |mut out, part| {
        match part {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => drop(out.pop()),
            Utf8Component::Prefix(_) | Utf8Component::RootDir | Utf8Component::Normal(_) => out.push(part.as_str()),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: [(&str, &str); 2] = [("/home/ana/out", "/etc"), ("/home/ana/in", "/home/ana/docs")];

    /// Every directory of this world exists; two are links.
    fn real(path: &Utf8Path) -> Option<Utf8PathBuf> {
        let link =
            LINKS.iter().find_map(|(link, target)| Some(Utf8Path::new(target).join(path.strip_prefix(link).ok()?)));
        let exists = path.extension().is_none() || link.is_some();
        exists.then(|| link.unwrap_or_else(|| path.to_owned()))
    }

    #[track_caller]
    fn check(path: &str, expect: &str) {
        let allowed = ["/home/ana", "/w/app", "/tmp"].map(Utf8PathBuf::from);
        let guard = PathGuard { called: "home directory, project directory, or temp directory", allowed: &allowed };
        let said = expanded(Utf8Path::new(path), Utf8Path::new("/home/ana")).and_then(|path| guard.check(&path, &real));
        let said = said.map_or_else(|error| error.to_string(), Utf8PathBuf::into_string);
        assert_eq!(said, expect);
    }

    const OUTSIDE: &str = "Access denied: path must be within home directory, project directory, or temp directory";
    const LEADS_OUTSIDE: &str =
        "Access denied: path resolves (via symlink) outside home directory, project directory, or temp directory";

    #[test]
    fn only_what_lies_inside_by_its_text_passes() {
        check("/home/ana/x.json", "/home/ana/x.json");
        check("/tmp/./a/../x.json", "/tmp/x.json");
        check("/w/app/x.json", "/w/app/x.json");
        check("/etc/passwd", OUTSIDE);
        check("/home/ana/../bob/x.json", OUTSIDE);
        check("x.json", OUTSIDE);
        check("/home/ana/a\0b", "Invalid path: contains a NUL byte");
    }

    #[test]
    fn siblings_that_look_alike_are_outside() {
        check("/home/ana-evil/x.json", OUTSIDE);
        check("/w/app2/x.json", OUTSIDE);
    }

    #[test]
    fn a_tilde_is_ones_own_home_only() {
        check("~", "/home/ana");
        check("~/x.json", "/home/ana/x.json");
        check("~bob/x.json", OUTSIDE);
    }

    #[test]
    fn a_link_may_not_lead_outside() {
        check("/home/ana/in/x.json", "/home/ana/in/x.json");
        check("/home/ana/out/x.json", LEADS_OUTSIDE);
        check("/home/ana/out/new/x.json", LEADS_OUTSIDE);
    }
}
