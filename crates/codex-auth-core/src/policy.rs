//! What the user's own rules mean for one request: each account's terms, the account that is bound to serve, and
//! whether the request is refused whoever would serve it. Composed here and nowhere else.
//!
//! Precedence, from the strongest. A rule of one line never weakens a rule of a line above it.
//!
//! | # | Rule | What it does |
//! |---|---|---|
//! | 1 | a project's list of models | a denied model, or one that a list of allowed models does not name, is refused; denial wins; a call that names no model passes only where nothing is allowed by name; asking for the catalogue is never refused |
//! | 2 | a budget that is used up | refused until its window ends; `global`, the project's own and the profile's are all asked, and the last end counts |
//! | 3 | an account forced for this call | that account or nobody; where the project is bound to another one, nobody |
//! | 4 | the account a project is bound to | that account or nobody |
//! | 5 | the account pinned by `switch` | that account or nobody, wherever no line above names one |
//! | 6 | a pause or a drain of an account | it serves nothing, also where it is bound or pinned; a drained one keeps the sessions it has; where both are set, it is paused |
//! | 7 | what the project likes | accounts with a preferred tag come first, those with an avoided tag last |
//! | 8 | weights | the project's weight of an account stands instead of the account's own; 0 means only when nobody else can |
//! | 9 | the reserve of an account | left alone while another account can serve |
//!
//! Lines 1 to 6 are hard: they fail closed. Lines 7 to 9 only order those who may serve.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::Debug,
    sync::Arc,
};

use crate::{
    Account, Budget, BudgetLimit, Denial, DeniedBy, Hold, PriceTable, RecordId, SavedPool, SpentAt, StoreError, Terms,
    Timestamp,
};

mod fallback;
mod names;
mod rules;
#[cfg(test)]
mod table;

pub(crate) use fallback::wants_model;
pub use fallback::{Fallback, MOST_MODELS};
pub use names::{account_tag, account_weight, budget_key, project_budget_key};
pub use rules::{AccountRules, Asked, ProjectRules};

/// The key of the budget that everybody's use counts towards.
const EVERYBODY: &str = "global";

/// Everything the user said, as one consistent copy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policies {
    /// Of accounts; one that is not here has the ordinary rules.
    pub accounts: BTreeMap<RecordId, AccountRules>,
    /// Of projects, by project key.
    pub projects: BTreeMap<String, ProjectRules>,
    /// Limits by budget key.
    pub limits: BTreeMap<String, BudgetLimit>,
}

/// Where the rules are kept; read behind the requests, never for one.
pub trait PolicySource: Debug + Send + Sync {
    /// Another number whenever something was changed.
    fn stamp(&self) -> u64;

    /// All rules, for the accounts of this pool. What cannot be read is an error, never an absence of rules.
    fn read(&self, pool: &SavedPool) -> Result<Policies, StoreError>;

    /// The project a directory belongs to.
    fn place_of(&self, directory: &str) -> Option<Place>;

    /// What was spent in every window that holds at `now`.
    fn spent(&self, now: Timestamp) -> Result<Vec<SpentAt>, StoreError>;

    /// What tokens cost: the user's prices above the built-in ones.
    fn prices(&self) -> Result<PriceTable, StoreError>;
}

/// A project as requests tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The project's key.
    pub project: String,
    /// Directories by which a client may name it.
    pub roots: Vec<String>,
}

/// What is known of a request before an account is chosen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    /// The project it comes from.
    pub project: Option<&'a str>,
    /// What it asks for.
    pub asked: Asked<'a>,
    /// The only account that may serve it.
    pub forced: Option<&'a RecordId>,
}

/// The rules as one request meets them, for [`Query`](crate::Query).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ruling {
    /// The account the project is bound to.
    pub bound: Option<RecordId>,
    /// The rule that refuses it, whoever would serve.
    pub denied: Option<Denial>,
    terms: Arc<HashMap<RecordId, Terms>>,
}

/// The rules, made ready for requests.
#[derive(Debug, Clone, Default)]
pub struct Rulebook {
    policies: Policies,
    /// The terms of accounts that have any, where no project says otherwise, and by project.
    everywhere: Arc<HashMap<RecordId, Terms>>,
    within: BTreeMap<String, Arc<HashMap<RecordId, Terms>>>,
}

impl Ruling {
    /// The terms of an account.
    pub fn terms_of(&self, account: &Account) -> Terms {
        if self.terms.is_empty() {
            Terms::default()
        } else {
            self.terms.get(&account.record).copied().unwrap_or_default()
        }
    }
}

impl Rulebook {
    /// Makes rules ready.
    pub fn of(policies: Policies) -> Self {
        let terms = |project: &ProjectRules| {
            let records = policies.accounts.keys().chain(project.weights.keys());
            let ordinary = AccountRules::default();
            let all = records.map(|record| {
                let own = policies.accounts.get(record).unwrap_or(&ordinary);
                (record.clone(), terms(own, project, record))
            });
            Arc::new(all.filter(|(_, terms)| *terms != Terms::default()).collect::<HashMap<_, _>>())
        };
        let everywhere = terms(&ProjectRules::default());
        let within = policies.projects.iter().map(|(key, project)| (key.clone(), terms(project))).collect();
        Self { policies, everywhere, within }
    }

    /// What the rules mean for a request. Whether a budget has room is asked apart, where room is also reserved.
    pub fn compose(&self, subject: Subject<'_>) -> Ruling {
        let Subject { project, asked, forced } = subject;
        let rules = project.and_then(|key| self.policies.projects.get(key));
        let bound = rules.and_then(|rules| rules.bound.clone());
        let refuses = |reason: &str| Denial { by: DeniedBy::Policy, reason: reason.to_owned(), until: None };
        let torn = forced.zip(bound.as_ref()).is_some_and(|(forced, bound)| forced != bound);
        let denied = rules.and_then(|rules| rules.refuses(asked)).map(refuses);
        let denied = denied.or_else(|| torn.then(|| refuses("the project is bound to another account")));
        let terms = project.and_then(|key| self.within.get(key)).unwrap_or(&self.everywhere).clone();
        Ruling { bound, denied, terms }
    }

    /// The budgets that a request of this project counts towards.
    pub fn budgets(&self, project: Option<&str>) -> Vec<Budget> {
        if self.policies.limits.is_empty() {
            return Vec::new();
        }
        let rules = project.and_then(|key| self.policies.projects.get(key));
        let named = rules.and_then(|rules| rules.budget_key.clone());
        let keys = [Some(EVERYBODY.to_owned()), project.map(project_budget_key), named];
        // A profile may name a budget that is asked anyway.
        let keys: BTreeSet<String> = keys.into_iter().flatten().collect();
        keys.iter().filter_map(|key| self.budget(key, project)).collect()
    }

    /// A budget and whose use it counts: everybody's, else that of the project it is named for and of those whose
    /// profile names it. `known` are projects that may have no profile. `None` where no limit has this key.
    pub fn budget<'p>(&'p self, key: &str, known: impl IntoIterator<Item = &'p str>) -> Option<Budget> {
        let limit = *self.policies.limits.get(key)?;
        if key == EVERYBODY {
            return Some(Budget { key: key.to_owned(), limit, projects: None });
        }
        let naming = self.policies.projects.iter().filter(|(_, rules)| rules.budget_key.as_deref() == Some(key));
        let own = self.policies.projects.keys().map(String::as_str).chain(known);
        let own = own.filter(|project| project_budget_key(project) == key);
        let projects: BTreeSet<&str> = naming.map(|(project, _)| project.as_str()).chain(own).collect();
        let projects = Some(projects.into_iter().map(str::to_owned).collect());
        Some(Budget { key: key.to_owned(), limit, projects })
    }

    /// The rules it was made of.
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Whether any limit is set.
    pub fn has_limits(&self) -> bool {
        !self.policies.limits.is_empty()
    }

    /// Whether it makes a difference which of these projects a request comes from, for a rule that fails closed.
    pub fn tells_apart<'p>(&self, projects: impl IntoIterator<Item = Option<&'p str>>) -> bool {
        let hard = |key: Option<&str>| key.and_then(|key| self.policies.projects.get(key)).map(ProjectRules::hard);
        let mut all = projects.into_iter().map(|key| hard(key).unwrap_or_default());
        all.next().is_some_and(|first| all.any(|other| other != first))
    }
}

/// The terms of an account in a project.
fn terms(own: &AccountRules, project: &ProjectRules, record: &RecordId) -> Terms {
    let has = |tags: &[String]| own.tags.iter().any(|tag| tags.contains(tag));
    let hold = match (own.is_paused, own.is_drained) {
        (true, _) => Some(Hold::Paused),
        (false, true) => Some(Hold::Drained),
        (false, false) => None,
    };
    Terms {
        weight: project.weights.get(record).copied().unwrap_or(own.weight),
        preference: i32::from(has(&project.preferred_tags)) - i32::from(has(&project.avoid_tags)),
        reserve_percent: own.reserve_percent,
        hold,
    }
}
