//! What may ail one account, one thing at a time, and by hand which blockers that means.

use codex_auth_core::{
    Account, Blocker, Expiring, Headroom, Hold, NeedsLogin, Rest, RestReason, RestScope, Terms, Timestamp, WorkspaceId,
    testing::account,
};

/// The instant at which everybody is asked.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(10_000_000);
/// When whatever holds now is over.
pub(crate) const SOON: Timestamp = Timestamp::from_millis(10_060_000);
/// When what holds longest is over.
pub(crate) const LATER: Timestamp = Timestamp::from_millis(17_000_000);
/// The model that is asked for, where one is.
pub(crate) const ASKED: &str = "gpt-5.2:gpt-5.5";

/// What one account is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Ready,
    Busy,
    /// Ten percent are left.
    Low,
    /// The user wants it used when nobody else can serve.
    Weightless,
    /// What is left is what the user keeps in reserve.
    Reserved,
    Preferred,
    Avoided,
    /// What is left of it is lost within the hour.
    Expiring,
    RecentlyUsed,
    /// Every wait ended at this very instant.
    Recovered,
    /// It rests for another model only.
    RestsElsewhere,
    Disabled,
    NeedsLogin,
    NoWorkspace,
    PlatformOrganisation,
    RestsForUsage,
    RestsForAuth,
    RestsForNetwork,
    RestsForServer,
    /// It rests for the family of the model, and for the model.
    RestsForModel,
    Paused,
    Drained,
    QuotaSpent,
    LacksModel,
    Tried,
    /// Two waits of different length.
    RestsAndSpent,
    /// A wait and a decision of the user.
    RestsAndDisabled,
    /// Everything that can ail an account by itself.
    Everything,
}

use Kind as K;

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 28] = [
        K::Ready,
        K::Busy,
        K::Low,
        K::Weightless,
        K::Reserved,
        K::Preferred,
        K::Avoided,
        K::Expiring,
        K::RecentlyUsed,
        K::Recovered,
        K::RestsElsewhere,
        K::Disabled,
        K::NeedsLogin,
        K::NoWorkspace,
        K::PlatformOrganisation,
        K::RestsForUsage,
        K::RestsForAuth,
        K::RestsForNetwork,
        K::RestsForServer,
        K::RestsForModel,
        K::Paused,
        K::Drained,
        K::QuotaSpent,
        K::LacksModel,
        K::Tried,
        K::RestsAndSpent,
        K::RestsAndDisabled,
        K::Everything,
    ];

    /// One of each sort: ready and better or worse, a wait, a decision of the user, a sign-in, the request's own.
    pub(crate) const SORTS: [Self; 9] = [
        K::Ready,
        K::Busy,
        K::Low,
        K::Weightless,
        K::RestsForUsage,
        K::RestsForServer,
        K::Paused,
        K::NeedsLogin,
        K::Tried,
    ];

    /// The fewest that tell orderings and blockers apart.
    pub(crate) const FEW: [Self; 4] = [K::Ready, K::Busy, K::RestsForUsage, K::NeedsLogin];

    /// The kinds with one blocker less, for the law that taking one away never hurts.
    pub(crate) fn lighter(self) -> &'static [Self] {
        match self {
            K::Ready
            | K::Busy
            | K::Low
            | K::Weightless
            | K::Reserved
            | K::Preferred
            | K::Avoided
            | K::Expiring
            | K::RecentlyUsed
            | K::Recovered
            | K::RestsElsewhere => &[],
            K::Disabled
            | K::NeedsLogin
            | K::NoWorkspace
            | K::PlatformOrganisation
            | K::RestsForUsage
            | K::RestsForAuth
            | K::RestsForNetwork
            | K::RestsForServer
            | K::RestsForModel
            | K::Paused
            | K::Drained
            | K::QuotaSpent
            | K::LacksModel
            | K::Tried => &[K::Ready],
            K::RestsAndSpent => &[K::QuotaSpent, K::RestsForUsage],
            K::RestsAndDisabled | K::Everything => &[K::Disabled, K::RestsForUsage],
        }
    }

    /// The blockers it means, said by hand.
    pub(crate) fn blockers(self, is_model_known: bool) -> Vec<Blocker> {
        let rests = |reason| Blocker::Resting { until: SOON, reason, scope: RestScope::Account };
        let for_key = |key: &str, until| Blocker::Resting { until, reason: RestReason::UsageLimit, scope: family(key) };
        match self {
            K::Ready
            | K::Busy
            | K::Low
            | K::Weightless
            | K::Reserved
            | K::Preferred
            | K::Avoided
            | K::Expiring
            | K::RecentlyUsed
            | K::Recovered
            | K::RestsElsewhere => vec![],
            K::Disabled => vec![Blocker::Disabled],
            K::NeedsLogin => vec![Blocker::NeedsLogin { code: "refresh_token_reused".into() }],
            K::NoWorkspace | K::PlatformOrganisation => vec![Blocker::NoWorkspace],
            K::RestsForUsage => vec![rests(RestReason::UsageLimit)],
            K::RestsForAuth => vec![rests(RestReason::Auth)],
            K::RestsForNetwork => vec![rests(RestReason::Network)],
            K::RestsForServer => vec![rests(RestReason::Server)],
            K::RestsForModel => {
                let rests = [for_key("gpt-5.2", SOON), for_key(ASKED, LATER)];
                rests.into_iter().filter(|_| is_model_known).collect()
            }
            K::Paused => vec![Blocker::Held { hold: Hold::Paused }],
            K::Drained => vec![Blocker::Held { hold: Hold::Drained }],
            K::QuotaSpent => vec![Blocker::QuotaSpent { until: LATER }],
            K::LacksModel => vec![Blocker::LacksModel { until: LATER }],
            K::Tried => vec![Blocker::AlreadyTried],
            K::RestsAndSpent => vec![rests(RestReason::UsageLimit), Blocker::QuotaSpent { until: LATER }],
            K::RestsAndDisabled => vec![Blocker::Disabled, rests(RestReason::UsageLimit)],
            K::Everything => vec![
                Blocker::Disabled,
                Blocker::NeedsLogin { code: "refresh_token_reused".into() },
                rests(RestReason::Server),
                Blocker::Held { hold: Hold::Drained },
                Blocker::QuotaSpent { until: LATER },
                Blocker::LacksModel { until: LATER },
                Blocker::AlreadyTried,
            ],
        }
    }
}

fn family(key: &str) -> RestScope {
    RestScope::QuotaKey(key.to_owned())
}

/// One account of one kind, as the evaluator is to see it.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) account: Account,
    pub(crate) in_flight: u32,
    pub(crate) headroom: Headroom,
    pub(crate) terms: Terms,
    pub(crate) lacks_model_until: Option<Timestamp>,
    pub(crate) is_tried: bool,
}

impl Made {
    /// The account that stands at `place`.
    pub(crate) fn of(kind: Kind, place: usize) -> Self {
        let mut made = Self {
            account: account(place),
            in_flight: 0,
            headroom: Headroom::UNKNOWN,
            terms: Terms::default(),
            lacks_model_until: None,
            is_tried: false,
        };
        made.change(kind);
        made
    }

    fn change(&mut self, kind: Kind) {
        match kind {
            K::Ready => {}
            K::Busy => self.in_flight = 2,
            K::Low => self.headroom.left_percent = 10.0,
            K::Weightless => self.terms.weight = 0.0,
            K::Reserved => (self.headroom.left_percent, self.terms.reserve_percent) = (20.0, 50.0),
            K::Preferred => self.terms.preference = 1,
            K::Avoided => self.terms.preference = -1,
            K::Expiring => self.headroom.expiring = Some(Expiring { left_percent: 70.0, at: SOON }),
            K::RecentlyUsed => self.account.seen.last_used_at = NOW,
            K::Recovered => {
                self.rests(RestReason::UsageLimit, NOW, RestScope::Account);
                self.rests(RestReason::Server, NOW, family("gpt-5.2"));
                self.headroom.spent_until = Some(NOW);
                self.lacks_model_until = Some(NOW);
            }
            K::RestsElsewhere => self.rests(RestReason::UsageLimit, LATER, family("gpt-5.2:gpt-5.50")),
            K::Disabled => self.account.enabled = false,
            K::NeedsLogin => {
                self.account.needs_login = Some(NeedsLogin { code: "refresh_token_reused".into(), at: NOW });
            }
            K::NoWorkspace => self.account.owner.workspace = None,
            K::PlatformOrganisation => self.account.owner.workspace = WorkspaceId::parse("org-7"),
            K::RestsForUsage => self.rests(RestReason::UsageLimit, SOON, RestScope::Account),
            K::RestsForAuth => self.rests(RestReason::Auth, SOON, RestScope::Account),
            K::RestsForNetwork => self.rests(RestReason::Network, SOON, RestScope::Account),
            K::RestsForServer => self.rests(RestReason::Server, SOON, RestScope::Account),
            K::RestsForModel => {
                self.rests(RestReason::UsageLimit, SOON, family("gpt-5.2"));
                self.rests(RestReason::UsageLimit, LATER, family(ASKED));
            }
            K::Paused => self.terms.hold = Some(Hold::Paused),
            K::Drained => self.terms.hold = Some(Hold::Drained),
            K::QuotaSpent => self.headroom.spent_until = Some(LATER),
            K::LacksModel => self.lacks_model_until = Some(LATER),
            K::Tried => self.is_tried = true,
            K::RestsAndSpent => self.change_all(&[K::RestsForUsage, K::QuotaSpent]),
            K::RestsAndDisabled => self.change_all(&[K::RestsForUsage, K::Disabled]),
            K::Everything => {
                self.change_all(&[K::Disabled, K::NeedsLogin, K::RestsForServer, K::Drained]);
                self.change_all(&[K::QuotaSpent, K::LacksModel, K::Tried]);
            }
        }
    }

    fn change_all(&mut self, kinds: &[Kind]) {
        for kind in kinds {
            self.change(*kind);
        }
    }

    fn rests(&mut self, reason: RestReason, until: Timestamp, scope: RestScope) {
        self.account.rests.push(Rest { until, reason, scope });
    }
}
