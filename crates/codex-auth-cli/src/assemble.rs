//! The only place that names concrete parts: disk, issuer, clock, chance. Everything else takes them as ports.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use codex_auth_core::{
    Clock, CredentialKeeper, Decision, Entropy, Kind, LoginState, OfficialLogins, PolicySource, Query, QuotaMemory,
    RestPolicy, Rotation, RotationSettings, Rulebook, Ruling, SavedPool, SettingsSource, StoreError, Subject,
    Timestamp,
};
use codex_auth_net::Network;
use codex_auth_oauth::{Endpoints, OpenAiIssuer, ReqwestClient};
use codex_auth_proxy::{AgentSetup, InlineUpstream, Ports, ProxyConfig, ReqwestUpstream, SOCKET, Upstream};
use codex_auth_store::{
    DecisionFile, FileDiary, FilePolicies, FileSettings, FileStore, Homes, Layout, LayoutInputs, OfficialHomes, OsFs,
    OsPlaces, PrivateDir, QuotaFile, Scope,
    documents::{
        settings::{SettingsEnvironment, SettingsFile},
        usage_ledger::FileUsageBook,
    },
};

use sha2::Digest;

use crate::{environment::Environment, error::CliError, ui::Ui};

/// Where model calls and metadata go unless told otherwise.
const BACKEND: &str = "https://chatgpt.com/backend-api";
/// Names the variable that overrides it.
pub(crate) const BACKEND_VARIABLE: &str = "CODEX_MULTI_AUTH_BACKEND_URL";
/// Names the variable that stands for the issuer.
pub(crate) const ISSUER_VARIABLE: &str = "CODEX_MULTI_AUTH_ISSUER_URL";
/// Names the variable that gives each project a pool of its own.
pub(crate) const PER_PROJECT: &str = "CODEX_AUTH_PER_PROJECT_ACCOUNTS";
/// Tells a background agent, which has left every directory, for whose project it was started.
pub(crate) const WORKING_IN: &str = "CODEX_AUTH_WORKING_IN";
/// What we call ourselves towards the issuer and the backend.
pub(crate) const USER_AGENT: &str = concat!("codex-multi-auth/", env!("CARGO_PKG_VERSION"));
/// No document is longer on its way than a lock may be waited for.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(6);
/// A path longer than this does not fit a socket address on every system.
const LONGEST_SOCKET: usize = 100;

/// The parts of the product, as one command needs them.
#[derive(Debug)]
pub(crate) struct Product {
    pub(crate) environment: Environment,
    pub(crate) ui: Ui,
    pub(crate) own_path: PathBuf,
    pub(crate) layout: Layout,
    pub(crate) scope: Scope,
    /// What was done about pools from before.
    pub(crate) moved: Vec<String>,
    pub(crate) store: Arc<FileStore>,
    pub(crate) agent_dir: Arc<PrivateDir>,
    pub(crate) official: Arc<LeasedHomes>,
    pub(crate) network: Arc<Network>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    rotation: FileSettings,
}

impl Product {
    /// Assembles from the environment; opens nothing yet.
    pub(crate) fn of(environment: Environment, ui: Ui) -> Result<Self, CliError> {
        let lookup = |name: &str| environment.text(name).map(str::to_owned);
        let home = || std::env::home_dir().map(|path| path.to_string_lossy().into_owned());
        let inputs = LayoutInputs::from_values(lookup, home());
        let layout = Layout::resolve(&inputs);
        let working_in = lookup(WORKING_IN).unwrap_or_else(Self::working_directory);
        let asked = lookup(PER_PROJECT);
        let scope = Scope::of(&layout, asked.as_deref(), working_in.as_ref(), &OsFs, &OsPlaces)?;
        let layout = scope.applied_to(layout);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let homes = Homes::of(layout.codex_home());
        let store = FileStore::new(layout.clone(), clock.clone()).with_homes(homes.clone());
        let settings = SettingsFile::of(layout.base(), layout.codex_home()).with_home(&inputs.default_codex_home());
        let own_path = std::env::current_exe().map_err(|error| {
            CliError::new(Kind::Internal, "own_path", format!("This program cannot find its own file: {error}."))
        })?;
        Ok(Self {
            rotation: FileSettings::new(settings, SettingsEnvironment::from_values(lookup)),
            agent_dir: Arc::new(PrivateDir::new(layout.root().join("agent"))),
            official: Arc::new(LeasedHomes { official: OfficialHomes::of(&layout), homes }),
            store: Arc::new(store),
            network: Arc::new(Network::from_values(lookup)),
            entropy: Arc::new(OsEntropy),
            environment,
            ui,
            own_path,
            layout,
            scope,
            moved: Vec::new(),
            clock,
        })
    }

    /// Waits until the files say what was done, and tells what was mended by the way.
    pub(crate) fn finish(&self) {
        self.store.published(PUBLISHED_WITHIN);
        for notice in self.store.notices() {
            self.ui.say(&format!("codex-multi-auth: {notice}"));
        }
    }

    /// The rotation's settings as they stand.
    pub(crate) fn settings(&self) -> Result<RotationSettings, CliError> {
        Ok(self.rotation.rotation()?)
    }

    /// The user's rules, on disk.
    pub(crate) fn policies(&self) -> FilePolicies {
        FilePolicies::of(self.layout.clone())
    }

    /// What the user set, on disk.
    pub(crate) fn settings_file(&self) -> &SettingsFile {
        self.rotation.file()
    }

    /// Where every account of a pool stands, as a request without a session would find it.
    pub(crate) fn decide(&self, pool: &SavedPool) -> Decision {
        self.decide_for(pool, &Query::default())
    }

    /// The same as this request would find it. What was last told of quotas counts, so that no screen names an account
    /// that has nothing left.
    pub(crate) fn decide_for(&self, pool: &SavedPool, query: &Query) -> Decision {
        let strategy = self.settings().unwrap_or_default().strategy;
        let rotation = Rotation::new(pool.clone(), strategy, RestPolicy::default());
        // What is remembered is an extra, as it is for the agent: a cache that cannot be used decides nothing.
        rotation.recall(&self.quotas().read(pool).unwrap_or_default());
        let query = Query { ruling: self.ruling(pool), ..query.clone() };
        rotation.decide(&query, self.clock.now())
    }

    /// What the user's rules mean for a request from where they work. Rules that cannot be read are told of by the
    /// commands that are about them.
    fn ruling(&self, pool: &SavedPool) -> Ruling {
        let rules = self.policies();
        let place = rules.place_of(&Self::working_directory());
        let subject = Subject { project: place.as_ref().map(|place| place.project.as_str()), ..Subject::default() };
        rules.read(pool).map(|policies| Rulebook::of(policies).compose(subject)).unwrap_or_default()
    }

    /// Where what answers tell of quotas is written down.
    pub(crate) fn diary(&self) -> FileDiary {
        FileDiary::under(self.layout.base(), self.clock.clone())
    }

    /// The agent's control socket. Where the root's path is too long for an address, a short one stands in.
    pub(crate) fn socket(&self) -> PathBuf {
        let inside = self.agent_dir.path().join(SOCKET);
        if inside.as_str().len() <= LONGEST_SOCKET {
            return inside.into_std_path_buf();
        }
        let hash = sha2::Sha256::digest(inside.as_str());
        let name = format!("codex-auth-{:02x}{:02x}{:02x}{:02x}.sock", hash[0], hash[1], hash[2], hash[3]);
        PathBuf::from(self.environment.text("XDG_RUNTIME_DIR").unwrap_or("/tmp")).join(name)
    }

    /// The log of what the agent decided.
    pub(crate) fn decisions(&self) -> DecisionFile {
        DecisionFile::within(self.agent_dir.path())
    }

    /// What is remembered of quotas.
    pub(crate) fn quotas(&self) -> QuotaFile {
        QuotaFile::of(&self.layout)
    }

    /// Where the user works.
    pub(crate) fn working_directory() -> String {
        std::env::current_dir().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// A small runtime for the commands that talk to somebody.
    pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| CliError::new(Kind::Internal, "runtime", format!("Nothing can be started: {error}.")))
    }

    /// The issuer's addresses; an override is said aloud.
    pub(crate) fn endpoints(&self) -> Result<Endpoints, CliError> {
        let value = self.environment.text(ISSUER_VARIABLE);
        Endpoints::overridden_by(value).map_err(|error| {
            CliError::usage(format!("{ISSUER_VARIABLE} cannot be used: {error}"))
                .hint("Give an https address, or remove it.")
        })
    }

    /// Small requests to issuer and backend; every one of them goes out by the same settings of the network.
    pub(crate) fn http(&self) -> ReqwestClient {
        ReqwestClient::over(self.network.clone(), USER_AGENT)
    }

    /// Refuses settings of the network that cannot be followed, before anybody signs in or is asked for nothing.
    pub(crate) fn check_network(&self, command: &str) -> Result<(), CliError> {
        let issuer = self.endpoints()?.issuer().parse().ok();
        for uri in issuer.into_iter().chain([self.backend()?]) {
            self.network.check(&uri).map_err(|fault| {
                let hint = format!("Correct or remove {}, then run `codex-multi-auth {command}`.", fault.variable());
                CliError::new(fault.kind(), "network_settings", format!("{fault}.")).hint(hint)
            })?;
        }
        Ok(())
    }

    /// The issuer.
    pub(crate) fn issuer(&self) -> Result<OpenAiIssuer, CliError> {
        Ok(OpenAiIssuer::new(self.endpoints()?, Arc::new(self.http()), self.clock.clone()))
    }

    /// Renews credentials for commands that need no agent.
    pub(crate) fn keeper(&self) -> Result<CredentialKeeper, CliError> {
        Ok(CredentialKeeper::new(self.store.clone(), Arc::new(self.issuer()?), self.clock.clone()))
    }

    /// The backend's address. Like the issuer's, it is https or on this machine.
    pub(crate) fn backend(&self) -> Result<http::Uri, CliError> {
        let text = self.environment.text(BACKEND_VARIABLE).unwrap_or(BACKEND);
        let refused = || {
            CliError::usage(format!("{BACKEND_VARIABLE} must be an https address, or http on loopback."))
                .hint("Correct it, or remove it to use the default.")
        };
        let uri: http::Uri = text.trim_end_matches('/').parse().map_err(|_| refused())?;
        let is_loopback = matches!(uri.host(), Some("127.0.0.1" | "localhost" | "[::1]"));
        match uri.scheme_str() {
            Some("https") => Ok(uri),
            Some("http") if is_loopback => Ok(uri),
            _ => Err(refused()),
        }
    }

    /// One stderr line per endpoint that is not the vendor's own.
    pub(crate) fn say_overrides(&self) {
        for name in [ISSUER_VARIABLE, BACKEND_VARIABLE] {
            if let Some(value) = self.environment.text(name) {
                self.ui.say(&format!("codex-multi-auth: {name} is set; using {value}"));
            }
        }
    }

    /// What an agent of this product runs on.
    pub(crate) fn agent_setup(&self, port: Option<u16>, stays: bool) -> Result<AgentSetup, CliError> {
        let backend = self.backend()?;
        let ports = Ports {
            store: self.store.clone(),
            issuer: Arc::new(self.issuer()?),
            upstream: upstream_towards(&backend, &self.network),
            settings: Arc::new(self.rotation.clone()),
            policy: Arc::new(self.policies()),
            book: Arc::new(FileUsageBook::beside(self.store.clone())),
            entropy: self.entropy.clone(),
            clock: self.clock.clone(),
        };
        Ok(AgentSetup {
            ports,
            config: ProxyConfig { threads: serving_threads(), ..ProxyConfig::against(backend) },
            directory: self.agent_dir.clone(),
            shared: Arc::new(PrivateDir::new(self.layout.refresh_dir())),
            codex_home: self.layout.codex_home().to_string(),
            socket: self.socket(),
            logins: self.official.clone(),
            decisions: Arc::new(self.decisions()),
            quotas: Arc::new(self.quotas()),
            diary: Arc::new(self.diary()),
            entropy: self.entropy.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            port,
            stays,
        })
    }
}

/// Two threads serve where there are two cores: an event need not wait while another stream's is written.
fn serving_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2))
}

/// The form of the upstream that this backend needs: TLS, HTTP/2 and proxies are reqwest's.
fn upstream_towards(backend: &http::Uri, network: &Arc<Network>) -> Arc<dyn Upstream> {
    match InlineUpstream::towards(backend) {
        Some(inline) => Arc::new(inline),
        None => Arc::new(ReqwestUpstream::over(network.clone())),
    }
}

/// Reads logins, and remembers each home it was asked about, so that renewals look there for newer pairs.
#[derive(Debug)]
pub(crate) struct LeasedHomes {
    official: OfficialHomes,
    homes: Homes,
}

impl OfficialLogins for LeasedHomes {
    fn login(&self, codex_home: &str) -> Result<LoginState, StoreError> {
        self.homes.add(codex_home);
        self.official.login(codex_home)
    }
}

/// The wall clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the real clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// The operating system's source of chance.
#[derive(Debug)]
pub(crate) struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the operating system has a source of chance");
    }
}
