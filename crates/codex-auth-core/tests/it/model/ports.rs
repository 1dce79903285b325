//! The keeper's ports over a world of the model: every effect is one step, and between any two steps anything may
//! happen.

use std::sync::Arc;

use async_trait::async_trait;
use codex_auth_core::{
    Account, AccountStore, Clock, Credential, Edit, Granted, Held, Intent, NeedsLogin, RecordId, RefreshClaim,
    RefreshError, RefreshReason, RefreshToken, SavedPool, StoreError, Timestamp, TokenIssuer, testing::account,
};

use super::{
    facts::{CLIENTS_WINDOW, Fate, Pair, Who, number_of},
    world::{Wait, World},
};

/// One process of ours, as its keeper sees the world.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) world: World,
    pub(super) who: Who,
}

impl Process {
    fn held(&self) -> Held {
        self.world.with(|state| {
            let at = Timestamp::default();
            let needs_login = state.disk.needs_login.clone().map(|code| NeedsLogin { code, at });
            let credential = state.disk.stored.credential(state.disk.generation);
            Held { account: Account { needs_login, ..account(1) }, credential }
        })
    }

    /// Reads the account in one step.
    pub(super) async fn look(&self) -> Held {
        self.world.step("read").await;
        let held = self.held();
        self.world.note(&(Pair::of(&held.credential), held.account.needs_login.is_some()));
        held
    }
}

impl Clock for Process {
    fn now(&self) -> Timestamp {
        let now = self.world.with(|state| state.now);
        self.world.note(&now);
        Timestamp::from_secs(now)
    }
}

#[async_trait]
impl AccountStore for Process {
    async fn read(&self) -> Result<SavedPool, StoreError> {
        let held = self.look().await;
        Ok(SavedPool { accounts: vec![held], ..SavedPool::default() })
    }

    async fn edit(&self, _change: Edit) -> Result<SavedPool, StoreError> {
        self.read().await
    }

    async fn once_held(&self, _token: &RefreshToken) -> Result<Option<RecordId>, StoreError> {
        // There is one account, and every token of the model was once its own.
        Ok(Some(account(1).record))
    }

    fn stamp(&self) -> u64 {
        0
    }

    async fn claim(&self, _record: &RecordId) -> Result<Box<dyn RefreshClaim>, StoreError> {
        self.world.step("claim").await;
        let who = self.who;
        self.world
            .wait_for(Wait::Claim, move |state| {
                let is_free = state.disk.claimed.is_none();
                state.disk.claimed = state.disk.claimed.or(Some(who));
                is_free.then_some(())
            })
            .await;
        let hold = Arc::new(Hold(self.world.clone()));
        Ok(Box::new(Claim { process: self.clone(), hold }))
    }
}

#[async_trait]
impl TokenIssuer for Process {
    async fn refresh(
        &self,
        _account: &Account,
        token: &RefreshToken,
        _why: RefreshReason,
    ) -> Result<Granted, RefreshError> {
        self.world.step("present").await;
        let fate = self.world.fate();
        let granted = self.world.with(|state| state.present(self.who, number_of(token), fate));
        // The answer is on its way.
        self.world.step("answer").await;
        self.world.note(&(fate, granted));
        let why = String::new();
        match (fate, granted) {
            (Fate::Answered, Some(pair)) => Ok(granted_of(pair)),
            (Fate::Answered, None) => Err(RefreshError::Refused { code: "refresh_token_reused".into() }),
            (Fate::TakenAndLost | Fate::Vanished, _) => Err(RefreshError::Lost { why }),
            (Fate::Unsent | Fate::ProvenUnsent, _) => Err(RefreshError::Unsent { why }),
        }
    }
}

fn granted_of(pair: Pair) -> Granted {
    let Credential { access, refresh, expires_at, .. } = pair.credential(0);
    Granted { access, refresh: Some(refresh), expires_at, ..Granted::default() }
}

/// The claim's lock: free once nobody of its process works under it.
#[derive(Debug)]
struct Hold(World);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.with(|state| state.disk.claimed = None);
        self.0.wake_all();
    }
}

#[derive(Debug)]
struct Claim {
    process: Process,
    hold: Arc<Hold>,
}

impl Claim {
    fn world(&self) -> &World {
        &self.process.world
    }
}

#[async_trait]
impl RefreshClaim for Claim {
    async fn look_again(&mut self) -> Result<Held, StoreError> {
        self.world().step("look again").await;
        let is_passed_over = self.world().with(|state| state.disk.login.number < state.disk.stored.number);
        let is_busy = is_passed_over && self.world().is_busy();
        self.world().with(|state| {
            let disk = &mut state.disk;
            if is_passed_over && !is_busy {
                disk.login = disk.stored;
            }
            // Of one sign-in, the pair that was granted later.
            if disk.login.number > disk.stored.number {
                disk.stored = disk.login;
                disk.generation += 1;
                disk.needs_login = None;
            }
        });
        let held = self.process.held();
        self.world().note(&(Pair::of(&held.credential), held.account.needs_login.is_some()));
        Ok(held)
    }

    async fn intend(&mut self, token: &RefreshToken) -> Result<Intent, StoreError> {
        self.world().step("intend").await;
        let token = number_of(token);
        let noted = self.world().with(|state| state.disk.intent.replace(token));
        self.world().note(&noted);
        Ok(if noted == Some(token) { Intent::MaybeSpent } else { Intent::Clear })
    }

    async fn commit(&mut self, fresh: &Credential) -> Result<(), StoreError> {
        self.world().step("commit").await;
        let pair = Pair::of(fresh);
        let spent = self.world().with(|state| {
            let spent = state.disk.stored.number;
            let disk = &mut state.disk;
            let intent = disk.intent.take();
            if intent.is_none_or(|intent| intent == spent) || pair.number > spent {
                disk.stored = pair;
                disk.generation += 1;
                disk.needs_login = None;
            }
            state.handing = Some(pair.number);
            intent.unwrap_or(spent)
        });
        // The waiters go on; the client's login follows, under the same claim.
        let (world, hold) = (self.world().clone(), Arc::clone(&self.hold));
        self.world().spawn(self.process.who, async move { hand_over(&world, spent, pair, hold).await });
        Ok(())
    }

    async fn unspent(&mut self) -> Result<(), StoreError> {
        self.world().step("unspent").await;
        self.world().with(|state| {
            let token = state.disk.intent.take();
            let mine = state.issuer.shown.iter_mut().filter(|shown| Some(shown.token) == token);
            mine.filter(|shown| shown.fate == Fate::Unsent).for_each(|shown| shown.fate = Fate::ProvenUnsent);
        });
        Ok(())
    }

    async fn refuse(&mut self, why: NeedsLogin) -> Result<(), StoreError> {
        self.world().step("refuse").await;
        self.world().with(|state| {
            let disk = &mut state.disk;
            if disk.intent.take().is_none_or(|intent| intent == disk.stored.number) {
                disk.needs_login = Some(why.code);
            }
        });
        Ok(())
    }
}

async fn hand_over(world: &World, spent: usize, fresh: Pair, hold: Arc<Hold>) {
    world.step("hand over").await;
    let is_busy = world.is_busy();
    world.with(|state| {
        if state.disk.login.number == spent && !is_busy {
            state.disk.login = fresh;
        }
        state.handing = None;
    });
    drop(hold);
}

/// The door of the agent: what a wrapped client is answered. A token that has a successor names its account, too.
pub(super) async fn door(agent: Process, question: usize, token: usize) {
    let held = agent.look().await;
    let is_current = number_of(&held.credential.refresh) == token;
    let outlived = || Credential { access: None, ..Pair { number: token, ends: 0 }.credential(0) };
    let seen = if is_current { held.credential.clone() } else { outlived() };
    let why = RefreshReason::ProactiveExpiry;
    let answer = agent.keeper().renew(&held.account.record, &seen, why).await;
    agent.world.answer(question, answer.ok().map(|held| Pair::of(&held.credential)));
}

/// Whether the official client would renew this pair now.
pub(super) fn is_due(world: &World, pair: Pair) -> bool {
    pair.ends_within(CLIENTS_WINDOW, world.now())
}
