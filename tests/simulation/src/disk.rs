//! The real store on a disk with faults. What it does behind its caller's back it does on a thread of its own, for which
//! everybody waits: so a step of the store is one step of the seed, and the same seed does the same.

use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    thread,
    time::Duration,
};

use async_trait::async_trait;
use camino::Utf8PathBuf;
use codex_auth_core::{
    AccountStore, Credential, Edit, Held, Intent, NeedsLogin, RecordId, RefreshClaim, RefreshToken, SavedPool,
    StoreError,
};
use codex_auth_store::{FileStore, Homes, Layout, LayoutInputs, Waits, testing::FaultFs};
use tokio::runtime::{Builder, Runtime};

use crate::world::{Flaw, World};

type Work = Box<dyn FnOnce(&Runtime) + Send>;

/// How long somebody waits for a claim that another program holds.
const CLAIMED: Duration = Duration::from_secs(20);

/// The files of one seed.
pub(crate) struct Disk {
    pub(crate) fs: Arc<FaultFs>,
    world: Arc<World>,
    dir: tempfile::TempDir,
    worker: Sender<Work>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("the files of one seed")
    }
}

impl Disk {
    /// In memory where that is to be had, with the directories of the locks made already.
    pub(crate) fn new(world: &Arc<World>) -> Arc<Self> {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let (worker, orders) = channel::<Work>();
        thread::spawn(move || {
            // One blocking thread: what was begun behind somebody's back is done before the next order.
            let mut builder = Builder::new_current_thread();
            let runtime = builder.enable_time().start_paused(true).max_blocking_threads(1).build().unwrap();
            for work in orders {
                work(&runtime);
            }
        });
        let disk = Self { fs: Arc::default(), world: world.clone(), dir, worker };
        for room in [disk.layout().root().to_owned(), disk.home().join(".local/state/codex-auth/refresh")] {
            std::fs::create_dir_all(room).unwrap();
        }
        Arc::new(disk)
    }

    fn home(&self) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(self.dir.path().to_owned()).unwrap()
    }

    pub(crate) fn layout(&self) -> Layout {
        let inputs = LayoutInputs { home: self.home().to_string(), ..LayoutInputs::default() };
        Layout::resolve_with(&inputs, &|_| Vec::new())
    }

    /// Opens the files as one more program does.
    pub(crate) fn open(self: &Arc<Self>) -> Arc<OnDisk> {
        let short = Duration::from_millis(1);
        let store = FileStore::over(self.layout(), self.world.clock.clone(), self.fs.clone())
            .with_homes(Homes::of(self.layout().codex_home()))
            .with_waits(Waits { refresh: short, root: short, official: short });
        Arc::new(OnDisk { store, disk: self.clone() })
    }

    /// Does work to its end, and everything that was begun by it.
    pub(crate) fn work<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        self.world.now();
        let (done, wait) = channel();
        let order = move |runtime: &Runtime| {
            let came_to = runtime.block_on(work);
            runtime.block_on(async { tokio::task::spawn_blocking(|| ()).await }).unwrap();
            done.send(came_to).unwrap();
        };
        self.worker.send(Box::new(order)).unwrap();
        wait.recv().unwrap()
    }

    fn noted<T>(&self, came_to: Result<T, StoreError>) -> Result<T, StoreError> {
        if came_to.is_err() {
            self.world.count(|tally| tally.disk_errors += 1);
        }
        came_to
    }
}

/// The store as one program sees it.
#[derive(Debug)]
pub(crate) struct OnDisk {
    pub(crate) store: FileStore,
    disk: Arc<Disk>,
}

impl OnDisk {
    /// Changes the pool from outside any runtime.
    pub(crate) fn change(&self, change: impl FnOnce(&mut SavedPool) + Send + 'static) -> Result<SavedPool, StoreError> {
        self.store.edit_now(change)
    }

    /// The pool as it stands.
    pub(crate) fn pool(&self) -> Result<SavedPool, StoreError> {
        self.store.read_now()
    }
}

#[async_trait]
impl AccountStore for OnDisk {
    async fn read(&self) -> Result<SavedPool, StoreError> {
        tokio::task::yield_now().await;
        self.disk.noted(self.pool())
    }

    async fn edit(&self, change: Edit) -> Result<SavedPool, StoreError> {
        tokio::task::yield_now().await;
        self.disk.noted(self.change(change))
    }

    fn stamp(&self) -> u64 {
        self.store.stamp()
    }

    async fn once_held(&self, token: &RefreshToken) -> Result<Option<RecordId>, StoreError> {
        let (store, token) = (self.store.clone(), token.clone());
        self.disk.noted(self.disk.work(async move { store.once_held(&token).await }))
    }

    async fn claim(&self, record: &RecordId) -> Result<Box<dyn RefreshClaim>, StoreError> {
        let pause = Duration::from_millis(250);
        let mut waited = Duration::ZERO;
        loop {
            tokio::task::yield_now().await;
            let (store, record) = (self.store.clone(), record.clone());
            match self.disk.work(async move { store.claim(&record).await }) {
                Err(StoreError::Locked { .. }) if waited < CLAIMED => {
                    tokio::time::sleep(pause).await;
                    waited += pause;
                }
                Err(error) => return self.disk.noted(Err(error)),
                Ok(inner) => {
                    return Ok(Box::new(Claim { inner: Some(inner), disk: self.disk.clone() }));
                }
            }
        }
    }
}

/// A claim whose every step is one of the disk's.
#[derive(Debug)]
struct Claim {
    inner: Option<Box<dyn RefreshClaim>>,
    disk: Arc<Disk>,
}

/// One step of the claim, and a point at which others may run and a crash may strike.
macro_rules! step {
    ($self:ident, |$claim:ident| $work:expr) => {{
        tokio::task::yield_now().await;
        let mut $claim = $self.inner.take().expect("a step ends before the next one");
        let ($claim, came_to) = $self.disk.work(async move {
            let came_to = $work;
            ($claim, came_to)
        });
        $self.inner = Some($claim);
        tokio::task::yield_now().await;
        $self.disk.noted(came_to)
    }};
}

#[async_trait]
impl RefreshClaim for Claim {
    async fn look_again(&mut self) -> Result<Held, StoreError> {
        step!(self, |claim| claim.look_again().await)
    }

    async fn intend(&mut self, token: &RefreshToken) -> Result<Intent, StoreError> {
        let token = token.clone();
        let intent = step!(self, |claim| claim.intend(&token).await);
        if self.disk.world.flaw == Flaw::ForgetfulJournal {
            step!(self, |claim| claim.unspent().await)?;
        }
        intent
    }

    async fn commit(&mut self, fresh: &Credential) -> Result<(), StoreError> {
        let fresh = fresh.clone();
        step!(self, |claim| claim.commit(&fresh).await)
    }

    async fn unspent(&mut self) -> Result<(), StoreError> {
        step!(self, |claim| claim.unspent().await)
    }

    async fn refuse(&mut self, why: NeedsLogin) -> Result<(), StoreError> {
        step!(self, |claim| claim.refuse(why).await)
    }
}
