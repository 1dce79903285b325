//! `first-run-setup.json`: the mark that first-run steps were begun and how they ended. Claimed by exclusive creation.

use camino::Utf8Path;
use codex_auth_core::{StoreError, Timestamp};
use serde_json::json;

use crate::{
    fs::{Fs, Write, io_error, parent_of},
    json::{self, Object},
    state_file::{Document, Recovery, Schema},
};

/// The version in which every step was tried; an older mark asks for the last step again.
const COMPLETE: i64 = 2;

/// The mark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstRun {
    /// When the steps were begun.
    pub started_at: Option<Timestamp>,
    /// When they ended.
    pub completed_at: Option<Timestamp>,
    /// Binding the desktop app.
    pub app_bind: Option<StepOutcome>,
    /// Installing its launcher.
    pub launcher: Option<StepOutcome>,
    /// Pinning where the official client keeps its login.
    pub auth_store: Option<StepOutcome>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// Done.
    Completed,
    /// Not wanted here.
    Skipped,
    /// Tried in vain.
    Failed,
}

impl StepOutcome {
    const ALL: [Self; 3] = [Self::Completed, Self::Skipped, Self::Failed];

    /// The word of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

impl FirstRun {
    /// Whether the step of the login's place is to be tried again.
    pub fn retries_auth_store(&self) -> bool {
        matches!(self.auth_store, None | Some(StepOutcome::Failed))
    }

    /// Claims the first run: whoever makes the file has it, everybody else is told `false`.
    pub fn claim(fs: &dyn Fs, root: &Utf8Path, now: Timestamp) -> Result<bool, StoreError> {
        let path = root.join(Self::NAME);
        let dir = parent_of(&path);
        fs.make_dir(&dir).map_err(|error| io_error("create", &dir, &error))?;
        let mut object = Object::new();
        Self { started_at: Some(now), ..Self::default() }.encode(&mut object);
        let mut text = json::pretty(&object);
        text.push(b'\n');
        match fs.write(&path, &text, Write::New) {
            Ok(()) => fs.sync_dir(&dir).map(|()| true).map_err(|error| io_error("sync", &dir, &error)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(io_error("create", &path, &error)),
        }
    }
}

impl Document for FirstRun {
    const NAME: &'static str = "first-run-setup.json";
    const SCHEMA: Schema = Schema::Versions(&[1, COMPLETE]);
    const RECOVERY: Recovery = Recovery::Refuse;

    fn decode(object: &Object) -> Self {
        let step = |key: &str| {
            let word = json::text(object, key)?;
            StepOutcome::ALL.into_iter().find(|outcome| outcome.as_str() == word)
        };
        Self {
            started_at: json::millis(object, "startedAt"),
            completed_at: json::millis(object, "completedAt"),
            app_bind: step("appBind"),
            launcher: step("launcher"),
            auth_store: step("authStore"),
        }
    }

    fn encode(&self, object: &mut Object) {
        let instant = |at: Option<Timestamp>| Some(json!(at.map(Timestamp::as_millis)));
        let is_failed = self.auth_store == Some(StepOutcome::Failed);
        json::set(object, "version", Some(json!(if is_failed { COMPLETE - 1 } else { COMPLETE })));
        json::set(object, "startedAt", instant(self.started_at));
        json::set(object, "completedAt", instant(self.completed_at));
        for (key, step) in [("appBind", self.app_bind), ("launcher", self.launcher), ("authStore", self.auth_store)] {
            json::set(object, key, step.map(|step| json!(step.as_str())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsFs;

    #[test]
    fn one_of_many_gets_the_first_run() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = Utf8Path::from_path(dir.path()).expect("text").join("root");
        let claims: Vec<_> = std::thread::scope(|scope| {
            let claim = || FirstRun::claim(&OsFs, &root, Timestamp::from_millis(7)).expect("asked");
            let running: Vec<_> = (0..8).map(|_| scope.spawn(claim)).collect();
            running.into_iter().map(|thread| thread.join().expect("ended")).collect()
        });
        assert_eq!(claims.iter().filter(|claim| **claim).count(), 1);
    }

    #[test]
    fn a_failed_step_keeps_the_older_version() {
        let mut object = Object::new();
        FirstRun { auth_store: Some(StepOutcome::Failed), ..FirstRun::default() }.encode(&mut object);
        assert_eq!(object["version"], json!(1));
        assert!(FirstRun::decode(&object).retries_auth_store());
        FirstRun { auth_store: Some(StepOutcome::Skipped), ..FirstRun::default() }.encode(&mut object);
        assert_eq!(object["version"], json!(2));
        assert!(!FirstRun::decode(&object).retries_auth_store());
    }
}
