//! Accounts, identity and rotation policy: the nouns, the rules and the ports of the product, without any I/O.
//!
//! | Room | Question it answers |
//! |---|---|
//! | [`time`](Timestamp), [`secret`](AccessToken) | what is an instant, what is a secret? |
//! | [`identity`](IdentityKey), [`account`](Account), [`credential`](Credential), [`claims`](Claims), [`pool`](SavedPool) | whose sign-in is it, and what is kept of it? |
//! | [`rest`](Rest), [`quota`](Quota), [`wait`](retry_at), [`outcome`](Outcome) | what did an answer teach about an account? |
//! | [`usage`](TokenUse) | what did an answer take? |
//! | [`reaction`](Treatment), [`burst`](Burst), [`entitlement`](Entitlements) | what follows from a failure, and what is remembered of it? |
//! | [`standing`](Standing), [`select`](Strategy), [`evaluate`](evaluate()) | who may serve, who should, and why not the others? |
//! | [`headroom`](Headroom), [`terms`](Terms) | what can an account still give, and what does the user want of it? |
//! | [`policy`](Rulebook), [`budget`](Meter) | what do the user's rules mean for a request, and is there room for it? |
//! | [`rotation`](Rotation), [`affinity`](Affinity), [`refusal`](Refusal) | the pool at run time; why can nobody serve? |
//! | [`refresh`](plan), [`keeper`](CredentialKeeper) | when is a token renewed, and how is it never spent twice? |
//! | [`forecast`](ForecastBook), [`alert`](AlertBook) | how long does what is left last, which account to take, and when is a person told? |
//! | [`incident`](Incident) | when has renewing an account been tried often enough? |
//! | [`breaker`](wave()), [`pacing`](next_turn()) | when does nobody show a refresh token; which one is shown ahead of time? |
//! | [`ledger`](UsageBook) | how did a request end, what did it take, and what do all of them come to? |
//! | [`permit`](PermitTable) | what may a capability to the agent do, and how often? |
//! | [`store`](AccountStore), [`issuer`](TokenIssuer), [`state`](StateDir), [`official`](OfficialLogins) | the ports to the disk and to whoever grants tokens |
//! | [`record`] | how is a decision kept, so that it can be made once more? |
//! | [`capability`] | what may an engine that keeps all this promise, and what must it? |
//!
//! Choosing an account needs nothing but values:
//!
//! ```
//! use codex_auth_core::{Ask, Seat, Standards, Strategy, Timestamp, evaluate, testing};
//!
//! let accounts = [testing::account(1), testing::account(2)];
//! let seats = accounts.each_ref().map(Seat::of);
//! let standards = Standards { strategy: Strategy::Sequential, ..Standards::default() };
//! let decision = evaluate(&seats, standards, Ask::default(), Timestamp::from_millis(0));
//! assert_eq!(decision.choice.expect("both can serve").0, accounts[0].record);
//! ```

#![warn(clippy::wildcard_enum_match_arm)]

mod account;
mod affinity;
mod alert;
mod breaker;
mod budget;
mod burst;
mod cache;
pub mod capability;
mod claims;
mod consequence;
mod credential;
mod entitlement;
mod evaluate;
mod family;
mod forecast;
mod headroom;
mod identity;
mod incident;
mod issuer;
mod keeper;
mod kind;
mod ledger;
mod official;
mod outcome;
mod pacing;
mod permit;
mod policy;
mod pool;
mod quota;
mod reaction;
pub mod record;
mod refresh;
mod refusal;
mod rest;
mod rotation;
mod secret;
mod select;
mod standing;
mod state;
mod store;
mod terms;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod time;
mod usage;
mod wait;

pub use account::{Account, NeedsLogin, Owner, Provenance, Seen};
pub use affinity::{Affinity, Bond, Memory};
pub use alert::{Alert, AlertBook, Reached, THRESHOLDS};
pub use breaker::{WAVE, Wave, is_sign, wave};
pub use budget::{Budget, BudgetLimit, Meter, Reservation, Spent, SpentAt, Window};
pub use burst::{BURST_LASTS, Burst};
pub use claims::{Claims, TokenPayload};
pub use credential::{Credential, Granted};
pub use entitlement::{Entitlements, LACKS_MODEL_FOR};
pub use evaluate::{Ask, Decision, Pick, Seat, Standards, evaluate, favourite, may_serve, pick, stays};
pub use family::{FAMILIES, quota_key};
pub use forecast::{
    Again, Availability, Calibration, Concern, ForecastBook, Habit, KeptHabit, Member, Outlook, PoolRunOut, PoolScore,
    Promise, Prospect, QuotaDiary, Recommendation, RiskLevel, RunOut, SURE, Track, Trouble, WindowReading,
};
pub use headroom::{Expiring, Headroom};
pub use identity::{IdentityKey, RecordId, SessionKey, UserId, WorkspaceId};
pub use incident::{DECLINED_REST, IN_VAIN, Incident, Recovery, UNAUTHORIZED_AFTER_REFRESH, Vain};
pub use issuer::{RefreshError, RefreshReason, TokenIssuer};
pub use keeper::{ANSWER_LOST, CredentialKeeper, IDENTITY_CHANGED, KeepError, Renewed};
pub use kind::Kind;
pub use ledger::{
    AttemptSpent, Cell, Counted, CountedSessions, Day, Difference, DifferenceKind, Ending, Entry, Finish, Here, Price,
    PriceTable, Priced, Reconciliation, RequestSpent, Rollup, SessionEvent, SessionFile, Side, Sums, Terminal, There,
    UsageBook, UsageGroup, UsageOperation, UsageOutcome, UsageSource, Whose, count_sessions, reconcile, summed,
};
pub use official::{Login, LoginState, OfficialLogins};
pub use outcome::{AnswerFacts, Outcome, classify, classify_event};
pub use pacing::{APART, IN_USE_FOR, Pace, RESTS_AFTER_RENEWAL, Turn, next_turn};
pub use permit::{LONGEST_PERMIT, Permit, PermitRefused, PermitTable, PermitTerms, SecretHash, Spend};
pub use policy::{
    AccountRules, Asked, Fallback, MOST_MODELS, Place, Policies, PolicySource, ProjectRules, Rulebook, Ruling, Subject,
    account_tag, account_weight, budget_key, project_budget_key,
};
pub use pool::{Edit, Held, NotSelected, SavedPool};
pub use quota::{
    Confidence, Credits, GUESS_HOLDS, Limit, LimitsEvent, Quota, QuotaMemory, QuotaSnapshot, QuotaWindow, Reading,
    Refused, Remembered, Report, Source, Span, UsagePayload, WindowState, plan_size,
};
pub use reaction::{Mark, Reaction, Resting, TREATMENTS, Treatment};
pub use refresh::{REFRESH_AHEAD, RENEW_AT_AGE, RefreshPlan, USABLE_FOR, plan, reason_ahead};
pub use refusal::{Cause, Refusal, refusal_of};
pub use rest::{LONGEST_REST, Rest, RestPolicy, RestReason, RestScope};
pub use rotation::{Lease, Lesson, Query, Rotation, Routing, Settled, Usage};
pub use secret::{AccessToken, ClientToken, IdToken, RefreshToken};
pub use select::{Candidate, Field, MovePrice, Prompt, Reason, Strategy, Supply, UnknownStrategy, choose, price_of};
pub use standing::{Binding, Blocker, Exit, Reach, Standing};
pub use state::{HeldLock, RotationSettings, SettingsSource, StateDir};
pub use store::{AccountStore, Intent, RefreshClaim, StoreError};
pub use terms::{Denial, DeniedBy, Hold, Terms};
pub use time::{Clock, Entropy, Timestamp};
pub use usage::TokenUse;
pub use wait::{LONGEST_RETRY, WaitFields, epoch, retry_at, wait_in_words, wait_of};
