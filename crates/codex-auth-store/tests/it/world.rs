//! A throw-away root with a manual clock, and the handful of documents the tests begin with.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use camino::{Utf8Path, Utf8PathBuf};
use codex_auth_core::{
    AccessToken, Credential, Held, IdToken, Owner, RefreshToken, SavedPool, Timestamp, UserId, WorkspaceId,
    testing::ManualClock,
};
use codex_auth_store::{
    FileStore, Fs, Homes, Layout, LayoutInputs, OsFs, Waits, import,
    opencode::Domain,
    testing::{FaultFs, claims, jwt},
};
use serde_json::Value;

/// When the tests take place, in seconds.
pub(crate) const NOW: i64 = 1_790_000_000;

/// One root.
#[derive(Debug)]
pub(crate) struct World {
    dir: tempfile::TempDir,
    /// Whether the pool is a domain of `OpenCode`'s document.
    domain: OnceLock<Domain>,
    pub(crate) clock: Arc<ManualClock>,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        Self { dir, domain: OnceLock::new(), clock: Arc::new(ManualClock::at(Timestamp::from_secs(NOW))) }
    }

    /// The same for hundreds of worlds in a row: in memory where that is to be had, and with the directories of the
    /// locks made already, because making them durable takes longer than a test should.
    pub(crate) fn with_rooms() -> Self {
        let in_memory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let world = Self { dir: in_memory.expect("a directory"), ..Self::new() };
        for room in [world.layout().root().to_owned(), world.home().join(".local/state/codex-auth/refresh")] {
            std::fs::create_dir_all(room).expect("made");
        }
        world
    }

    pub(crate) fn home(&self) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().to_owned()).expect("text")
    }

    pub(crate) fn layout(&self) -> Layout {
        let layout = layout_in(&self.home());
        match self.domain.get() {
            Some(domain) => layout.with_opencode_pool_in(self.home().join(".config/opencode"), *domain),
            None => layout,
        }
    }

    /// From here on the pool is this domain of `OpenCode`'s document.
    pub(crate) fn is_opencodes(&self, domain: Domain) {
        std::fs::create_dir_all(self.home().join(".config/opencode/codex-auth")).expect("made");
        self.domain.set(domain).expect("said once");
    }

    pub(crate) fn store(&self) -> FileStore {
        self.store_over(Arc::new(OsFs))
    }

    /// A store that waits for locks only as long as a test may take.
    pub(crate) fn store_over(&self, fs: Arc<dyn Fs>) -> FileStore {
        let short = Duration::from_millis(50);
        FileStore::over(self.layout(), self.clock.clone(), fs)
            .with_homes(Homes::of(self.layout().codex_home()))
            .with_waits(Waits { refresh: short, root: short, official: short })
    }

    pub(crate) fn write(&self, path: &Utf8Path, text: &str) {
        assert!(path.starts_with(self.home()), "{path} is not of this world");
        std::fs::create_dir_all(path.parent().expect("under the root")).expect("made");
        std::fs::write(path, text).expect("written");
    }

    pub(crate) fn accounts(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.layout().accounts()).expect("there")).expect("JSON")
    }

    pub(crate) fn sidecar(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.layout().sidecar()).expect("there")).expect("JSON")
    }

    /// A store on a disk that works and is not waited for.
    pub(crate) fn quick(&self) -> FileStore {
        self.store_over(Arc::new(FaultFs::default()))
    }

    /// A store whose pool is `accounts`.
    pub(crate) fn holding(&self, accounts: Vec<Held>) -> FileStore {
        self.quick().edit_now(|pool| put(pool, accounts)).expect("written");
        self.store()
    }
}

pub(crate) fn layout_in(home: &Utf8Path) -> Layout {
    let inputs = LayoutInputs { home: home.to_string(), ..LayoutInputs::default() };
    Layout::resolve_with(&inputs, &|_| Vec::new())
}

pub(crate) fn put(pool: &mut SavedPool, accounts: Vec<Held>) {
    pool.active = accounts.first().map(|held| held.account.record.clone());
    pool.accounts = accounts;
}

/// The sign-in of person `n`, granted `age` seconds ago, with refresh token `refresh`.
pub(crate) fn sign_in(n: usize, refresh: &str, age: i64) -> Held {
    let (user, workspace) = (format!("user-{n}"), format!("ws-{n}"));
    let owner = Owner {
        user: UserId::parse(&user),
        workspace: WorkspaceId::parse(&workspace),
        email: Some(format!("{user}@example.test")),
        plan: Some("plus".into()),
    };
    let added = Timestamp::from_secs(NOW - 1_000_000 + i64::try_from(n).expect("small"));
    import::from_sign_in(owner, credential(&user, &workspace, refresh, age), None, added)
}

/// A pair of `user` in `workspace`, granted `age` seconds ago for one day.
pub(crate) fn credential(user: &str, workspace: &str, refresh: &str, age: i64) -> Credential {
    let end = NOW - age + 86_400;
    let token = jwt(&claims(user, workspace, end));
    Credential {
        access: Some(AccessToken::new(&token)),
        refresh: RefreshToken::new(refresh),
        id: Some(IdToken::new(&token)),
        expires_at: Some(Timestamp::from_secs(end)),
        obtained_at: Some(Timestamp::from_secs(NOW - age)),
        generation: 0,
    }
}
