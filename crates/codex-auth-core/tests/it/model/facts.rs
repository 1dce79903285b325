//! What is true in a world of the model: the clock, what is on the disk, what the issuer knows, and what is left of
//! the misfortunes that may happen. All of it is plain data, so that two ways to one state are seen as one.

use std::collections::{BTreeMap, BTreeSet};

use codex_auth_core::{AccessToken, Credential, RefreshToken, Timestamp};

/// How long a pair lives, in seconds.
pub(super) const LIFE: i64 = 3600;

/// From here to its end the official client renews a pair by itself, in seconds.
pub(super) const CLIENTS_WINDOW: i64 = 300;

/// Two tokens that were granted together, named by the order in which the issuer granted them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pair {
    pub(super) number: usize,
    pub(super) ends: i64,
}

impl Pair {
    pub(super) fn credential(self, generation: u64) -> Credential {
        Credential {
            access: Some(AccessToken::new(format!("access-{}", self.number))),
            refresh: RefreshToken::new(format!("refresh-{}", self.number)),
            id: None,
            expires_at: Some(Timestamp::from_secs(self.ends)),
            obtained_at: None,
            generation,
        }
    }

    pub(super) fn of(credential: &Credential) -> Self {
        let ends = credential.expires_at.expect("every pair of the model ends").as_millis() / 1000;
        Self { number: number_of(&credential.refresh), ends }
    }

    /// Whether less than `span` seconds of it are left.
    pub(super) fn ends_within(self, span: i64, now: i64) -> bool {
        self.ends - now <= span
    }
}

pub(super) fn number_of(token: &RefreshToken) -> usize {
    token.expose().strip_prefix("refresh-").and_then(|number| number.parse().ok()).expect("a token of the model")
}

/// Who does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Who {
    /// The agent; it serves the door, too.
    Agent,
    /// Another process of ours.
    Other,
    /// The official client.
    Client,
}

/// What both keepers' stores stand for: what survives every crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Disk {
    pub(super) stored: Pair,
    pub(super) generation: u64,
    pub(super) needs_login: Option<String>,
    /// The token the journal says is about to be presented.
    pub(super) intent: Option<usize>,
    /// Who holds the claim; the kernel frees it with its process.
    pub(super) claimed: Option<Who>,
    /// The official client's login.
    pub(super) login: Pair,
}

/// What became of a presentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Fate {
    /// The issuer took it and answered.
    Answered,
    /// The issuer took it; its answer came nowhere.
    TakenAndLost,
    /// It came nowhere, and nobody can tell.
    Vanished,
    /// No connection was made.
    Unsent,
    /// The same, and the journal says so: it may be presented again.
    ProvenUnsent,
}

/// One presentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Shown {
    pub(super) by: Who,
    pub(super) token: usize,
    pub(super) fate: Fate,
}

/// The issuer: single-use tokens, and reuse takes the whole family.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Issuer {
    /// By number: family, and whether it is spent.
    pub(super) tokens: Vec<(usize, bool)>,
    pub(super) revoked: BTreeSet<usize>,
    pub(super) shown: Vec<Shown>,
}

/// Why something bad that nobody can prevent was possible. Each is counted and documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Class {
    /// The issuer took the token, and its answer reached no disk.
    AnswerLost,
    /// The request broke off half-way: whether it arrived nobody can tell.
    PerhapsSent,
    /// A process died between its note and the request: the disk cannot tell whether it was sent.
    NeverSent,
    /// A plain client read the login before we handed the new pair over, and presented its token after us.
    WhileWeRenew,
    /// We read the login before a plain client wrote its new pair, and presented the token after it.
    WhileTheyRenew,
    /// Our answer was lost; the plain client then presents the same token.
    AfterOurLoss,
    /// The plain client's answer was lost, or it died; we then present the same token.
    AfterTheirLoss,
    /// The plain client presents again what it presented before.
    TheyRepeat,
    /// The pair is in the pool, and nobody was left to hand it over to the plain client's login.
    HandOverMissed,
}

/// How many misfortunes may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Left {
    pub(super) crashes: usize,
    pub(super) losses: usize,
    /// How often the official client's locks are found busy, so that a hand-over is passed over.
    pub(super) busy: usize,
}

/// A question of the wrapped client, and what the door answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Open,
    Answered(Option<Pair>),
}

/// Everything.
#[derive(Debug, Clone, Hash)]
pub(super) struct State {
    pub(super) now: i64,
    pub(super) ticks: usize,
    pub(super) disk: Disk,
    pub(super) issuer: Issuer,
    pub(super) left: Left,
    pub(super) is_client_alive: bool,
    pub(super) asked: BTreeMap<usize, Asked>,
    /// The pair that somebody is about to hand over.
    pub(super) handing: Option<usize>,
    pub(super) classes: BTreeSet<Class>,
    /// Whether the client's window opened on a login that we had not renewed.
    pub(super) was_late: bool,
    pub(super) broken: Option<String>,
}

impl State {
    pub(super) fn break_rule(&mut self, why: impl Into<String>) {
        self.broken.get_or_insert(why.into());
    }

    /// A new sign-in.
    pub(super) fn sign_in(&mut self) -> Pair {
        let family = self.issuer.tokens.iter().map(|(family, _)| family + 1).max().unwrap_or(0);
        self.mint(family)
    }

    fn mint(&mut self, family: usize) -> Pair {
        self.issuer.tokens.push((family, false));
        Pair { number: self.issuer.tokens.len() - 1, ends: self.now + LIFE }
    }

    /// Whether this pair is one that the issuer would renew.
    pub(super) fn is_good(&self, pair: Pair) -> bool {
        let (family, is_spent) = self.issuer.tokens[pair.number];
        !is_spent && !self.issuer.revoked.contains(&family)
    }

    /// A token is presented and meets this fate; what the issuer grants, where it was reached and content.
    pub(super) fn present(&mut self, by: Who, token: usize, fate: Fate) -> Option<Pair> {
        let unproven = |shown: &&Shown| shown.token == token && shown.fate != Fate::ProvenUnsent;
        if by != Who::Client && self.issuer.shown.iter().filter(unproven).any(|shown| shown.by != Who::Client) {
            self.break_rule(format!("{by:?} presents a token again that one of us has presented"));
        } else if let Some(first) = self.issuer.shown.iter().find(unproven).copied() {
            let class = self.class_of(first, by);
            self.classes.insert(class);
        }
        if by == Who::Client && !self.was_late {
            self.break_rule("the plain client presents a token, though its login was renewed in time");
        }
        self.issuer.shown.push(Shown { by, token, fate });
        let (family, is_spent) = self.issuer.tokens[token];
        if matches!(fate, Fate::Vanished | Fate::Unsent | Fate::ProvenUnsent) {
            return None;
        }
        if is_spent || self.issuer.revoked.contains(&family) {
            self.issuer.revoked.insert(family);
            return None;
        }
        self.issuer.tokens[token].1 = true;
        Some(self.mint(family))
    }

    /// Why a token comes a second time, with a plain client about.
    fn class_of(&self, first: Shown, by: Who) -> Class {
        let token = first.token;
        match (first.by, by) {
            (Who::Client, Who::Client) => Class::TheyRepeat,
            (Who::Client, Who::Agent | Who::Other)
                if self.disk.login.number != token || (first.fate == Fate::Answered && self.is_client_alive) =>
            {
                Class::WhileTheyRenew
            }
            (Who::Client, Who::Agent | Who::Other) => Class::AfterTheirLoss,
            (Who::Agent | Who::Other, _) if self.disk.stored.number == token => {
                let is_under_way = self.disk.claimed.is_some() && self.disk.intent == Some(token);
                if is_under_way { Class::WhileWeRenew } else { Class::AfterOurLoss }
            }
            (Who::Agent | Who::Other, _) => {
                let is_missed = self.disk.login.number == token && self.handing.is_none();
                if is_missed { Class::HandOverMissed } else { Class::WhileWeRenew }
            }
        }
    }

    /// Time goes on to the next moment of the scene.
    pub(super) fn tick(&mut self, moments: &[i64]) {
        self.now = moments[self.ticks];
        self.ticks += 1;
        self.was_late |= self.disk.login.ends_within(CLIENTS_WINDOW, self.now);
    }
}
