//! The proxy as one value: its pool, its ports and its rooms' shared state.

use std::sync::{Arc, OnceLock};

use codex_auth_core::{
    AccountStore, Alert, Clock, CredentialKeeper, Entropy, Held, KeepError, PolicySource, QuotaDiary, QuotaMemory,
    RecordId, RefreshReason, Renewed, Report, RestPolicy, Rotation, SettingsSource, StoreError, TokenIssuer, UsageBook,
    record::DecisionLog,
};

use crate::{
    accounting::Accounting, config::ProxyConfig, diary::Diary, keeping::Keeping, leases::Leases, recording::Recording,
    remembering::Remembering, renewals::Renewals, rules::Rules, upstream::Upstream,
};

/// The outside as the proxy needs it.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Where the pool is kept.
    pub store: Arc<dyn AccountStore>,
    /// Who renews tokens.
    pub issuer: Arc<dyn TokenIssuer>,
    /// The backend.
    pub upstream: Arc<dyn Upstream>,
    /// Settings that may change under us.
    pub settings: Arc<dyn SettingsSource>,
    /// The user's rules, which may change under us, too.
    pub policy: Arc<dyn PolicySource>,
    /// Where requests are written down once they have ended.
    pub book: Arc<dyn UsageBook>,
    /// Chance, for names of requests.
    pub entropy: Arc<dyn Entropy>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The rotation proxy, without a listener.
#[derive(Debug)]
pub struct Proxy {
    pub(crate) ports: Ports,
    pub(crate) config: ProxyConfig,
    pub(crate) rotation: Arc<Rotation>,
    pub(crate) leases: Leases,
    pub(crate) renewals: Renewals,
    pub(crate) keeping: Keeping,
    recording: OnceLock<Recording>,
    remembering: OnceLock<Remembering>,
    diary: OnceLock<Diary>,
    pub(crate) rules: Rules,
    pub(crate) accounting: Accounting,
    /// The stamp of the settings in force; held while anything is read anew.
    reloading: tokio::sync::Mutex<u64>,
}

impl Proxy {
    /// Reads pool and settings and stands ready. Must be called within a tokio runtime.
    pub async fn ready(ports: Ports, mut config: ProxyConfig, leases: Leases) -> Result<Arc<Self>, StoreError> {
        let stamp = ports.store.stamp();
        let pool = ports.store.read().await?;
        let (stamp_of_settings, settings) = (ports.settings.stamp(), ports.settings.rotation()?);
        // Looked at from before the sums are read: what is written in between counts twice rather than never.
        let _others_so_far = ports.book.spent_by_others().await;
        let rules = Rules::ready(ports.policy.clone(), &pool, ports.clock.now()).await;
        config.headers_within = settings.answer_within.unwrap_or(config.headers_within);
        config.silence = settings.silence.unwrap_or(config.silence);
        // One agent serves a pool, so ties go by the user's order.
        let rotation = Arc::new(Rotation::new(pool, settings, RestPolicy::default()));
        let keeper = CredentialKeeper::new(ports.store.clone(), ports.issuer.clone(), ports.clock.clone());
        let renewals = Renewals::new(keeper, rotation.clone(), ports.clock.clone());
        let accounting = Accounting::start(ports.book.clone(), ports.entropy.as_ref());
        let keeping = Keeping::start(ports.store.clone(), rotation.clone(), stamp);
        Ok(Arc::new(Self {
            ports,
            config,
            rotation,
            leases,
            renewals,
            keeping,
            recording: OnceLock::new(),
            remembering: OnceLock::new(),
            diary: OnceLock::new(),
            rules,
            accounting,
            reloading: tokio::sync::Mutex::new(stamp_of_settings),
        }))
    }

    /// Writes down what answers tell of quotas from now on. Must be called within a tokio runtime.
    pub fn noting_to(&self, diary: Arc<dyn QuotaDiary>) {
        let records = || self.rotation.pool().accounts.iter().map(|held| held.account.record.clone()).collect();
        self.diary.get_or_init(|| Diary::start(diary, records()));
    }

    /// What a person was told of low quotas last.
    pub(crate) async fn alerts(&self) -> Vec<Alert> {
        match self.diary.get() {
            Some(diary) => diary.alerts().await,
            None => Vec::new(),
        }
    }

    /// Records every decision from now on. Must be called within a tokio runtime.
    pub fn recording_to(&self, log: Arc<dyn DecisionLog>) {
        self.recording.get_or_init(|| Recording::start(&self.rotation, log));
    }

    /// Recalls quotas from this memory, and keeps there what answers tell from now on. Must be called within a tokio
    /// runtime.
    pub async fn remembering_in(&self, memory: Arc<dyn QuotaMemory>) {
        let start = || Remembering::start(memory, self.rotation.clone(), self.ports.clock.clone());
        self.remembering.get_or_init(start).look().await;
    }

    /// The leases of this proxy.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The pool as the proxy sees it.
    pub fn rotation(&self) -> &Rotation {
        &self.rotation
    }

    /// Reads the pool, settings and rules anew when another program changed them. A file that cannot be read leaves the
    /// last good state in force.
    pub async fn reload_if_changed(&self) -> Result<bool, StoreError> {
        // One at a time, so that an older pool never comes after a newer one.
        let mut settings_in_force = self.reloading.lock().await;
        let stamp_of_settings = self.ports.settings.stamp();
        let stamp = self.ports.store.stamp();
        let (has_pool_changed, now) = (self.keeping.is_news(stamp), self.ports.clock.now());
        if has_pool_changed || *settings_in_force != stamp_of_settings {
            self.rotation.reading();
            let pool = self.ports.store.read().await?;
            let settings = self.ports.settings.rotation()?;
            self.rotation.adopt(pool, settings, now);
            self.keeping.saw(stamp);
            *settings_in_force = stamp_of_settings;
        }
        // Rules are filed under names of accounts, so another pool makes other rules of the same files.
        let have_rules_changed = has_pool_changed || self.rules.is_news();
        if have_rules_changed {
            self.rules.read(&self.rotation.pool(), now).await;
        }
        match self.ports.book.spent_by_others().await {
            Ok(spent) => self.rules.others_took(&spent),
            Err(error) => tracing::info!(%error, "what other programs spent could not be read"),
        }
        if let Some(remembering) = self.remembering.get() {
            remembering.look().await;
        }
        Ok(have_rules_changed)
    }

    /// Renews an account's credential, together with whoever else waits for it.
    pub(crate) async fn renew(&self, held: &Held, why: RefreshReason) -> Result<Renewed, KeepError> {
        self.renewals.renew(&held.account.record, &held.credential, why).await
    }

    /// Notes what was told of an account's quota: at once for routing, and for later on disk.
    pub(crate) fn note_quota(&self, record: &RecordId, told: &[Report]) {
        for report in told {
            if let Some(diary) = self.diary.get() {
                diary.note(record, report);
            }
            let news = self.rotation.saw_quota(record, report);
            if let (Some(news), Some(remembering)) = (news, self.remembering.get()) {
                remembering.keep(news);
            }
        }
    }

    /// Writes out what is still to be kept, at the end.
    pub async fn settle_down(&self) {
        self.renewals.finish().await;
        self.leases.permits().settle_down().await;
        self.keeping.finish().await;
        if let Some(remembering) = self.remembering.get() {
            remembering.finish().await;
        }
        if let Some(recording) = self.recording.get() {
            recording.finish().await;
        }
        if let Some(diary) = self.diary.get() {
            diary.finish().await;
        }
        self.accounting.finish().await;
    }
}
