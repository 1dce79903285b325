//! Two keepers, one token: every order of their steps, with and without a crash, a sign-in or a throttled issuer.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use codex_auth_core::{
    AccessToken, Account, AccountStore, CredentialKeeper, Granted, Held, KeepError, RefreshError, RefreshReason,
    RefreshToken, TokenIssuer,
    testing::{ManualClock, MemoryStore, ScriptedIssuer, held, pool},
};

use crate::{
    executor::{Jobs, Orders, pause},
    stepped::{Flaw, Stepped},
};

/// An issuer with pauses around the presentation: a crash may strike before it, and after it with the answer lost.
#[derive(Debug, Clone)]
struct Slow(ScriptedIssuer);

#[async_trait]
impl TokenIssuer for Slow {
    async fn refresh(
        &self,
        account: &Account,
        token: &RefreshToken,
        why: RefreshReason,
    ) -> Result<Granted, RefreshError> {
        pause().await;
        let answer = self.0.refresh(account, token, why).await;
        pause().await;
        answer
    }
}

/// What happens beside the two keepers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// One of them ends at any of its steps.
    Crash,
    /// The person signs in again at any time.
    SignIn,
}

/// What one order came to.
struct Run {
    ended: Vec<Result<Held, KeepError>>,
    presented: Vec<RefreshToken>,
    stored: Held,
}

fn granted() -> Granted {
    Granted {
        access: Some(AccessToken::new("access-next")),
        refresh: Some(RefreshToken::new("refresh-next")),
        ..Granted::default()
    }
}

/// Runs one order of two renewals of account 1, and afterwards a third renewal to see what it finds.
fn run(orders: &mut Orders, answers: &[Result<Granted, RefreshError>], beside: Beside, flaw: Flaw) -> Run {
    let issuer = ScriptedIssuer::answering(answers.to_vec());
    let store = Arc::new(Stepped::holding(pool(1), flaw));
    let keeper = CredentialKeeper::new(store.clone(), Arc::new(Slow(issuer.clone())), Arc::new(ManualClock::default()));
    let ended = Arc::new(Mutex::new(Vec::new()));
    let mut jobs = Jobs::default();
    let renewal = |jobs: &mut Jobs| {
        let (keeper, ended, seen) = (keeper.clone(), ended.clone(), held(1));
        jobs.give(Box::pin(async move {
            let result = keeper.renew(&seen.account.record, &seen.credential, RefreshReason::Forced).await;
            ended.lock().unwrap().push(result);
        }))
    };
    let first = renewal(&mut jobs);
    renewal(&mut jobs);
    if beside == Beside::SignIn {
        jobs.give(Box::pin(sign_in(store.at_once())));
    }
    let mut may_crash = beside == Beside::Crash;
    while !jobs.is_empty() {
        let ready = jobs.ready();
        assert!(!ready.is_empty(), "somebody waits for nobody");
        let crash = usize::from(may_crash && jobs.is_open(first));
        let chosen = orders.choose(ready.len() + crash);
        if let Some(job) = ready.get(chosen) {
            jobs.step(*job);
        } else {
            jobs.kill(first);
            may_crash = false;
        }
    }
    renewal(&mut jobs);
    let stored = Arc::new(Mutex::new(None));
    let looks = stored.clone();
    while let Some(job) = jobs.ready().first() {
        jobs.step(*job);
    }
    jobs.give(Box::pin(async move {
        *looks.lock().unwrap() = store.read().await.unwrap().accounts.into_iter().next();
    }));
    while let Some(job) = jobs.ready().first() {
        jobs.step(*job);
    }
    let stored = stored.lock().unwrap().take().unwrap();
    let ended = std::mem::take(&mut *ended.lock().unwrap());
    Run { ended, presented: issuer.presented(), stored }
}

async fn sign_in(store: MemoryStore) {
    let change = |pool: &mut codex_auth_core::SavedPool| {
        let credential = &mut pool.accounts[0].credential;
        credential.access = Some(AccessToken::new("access-signed-in"));
        credential.refresh = RefreshToken::new("refresh-signed-in");
        credential.generation += 1;
        pool.accounts[0].account.needs_login = None;
    };
    store.edit(Box::new(change)).await.unwrap();
}

/// Judges every order; says how many there were.
#[track_caller]
fn check(answers: &[Result<Granted, RefreshError>], beside: Beside, judge: impl Fn(&Run)) -> usize {
    let mut orders = Orders::default();
    let mut count = 0;
    loop {
        judge(&run(&mut orders, answers, beside, Flaw::None));
        count += 1;
        if !orders.next() {
            return count;
        }
    }
}

fn times(run: &Run, token: &str) -> usize {
    run.presented.iter().filter(|presented| presented.expose() == token).count()
}

fn generations(run: &Run) -> Vec<u64> {
    run.ended.iter().flatten().map(|held| held.credential.generation).collect()
}

#[test]
fn one_token_is_presented_once_and_everybody_gets_what_it_bought() {
    let orders = check(&[Ok(granted())], Beside::Nothing, |run| {
        assert_eq!(times(run, "refresh-1"), 1);
        assert_eq!(generations(run), [1, 1, 1]);
        assert_eq!(run.stored.credential.refresh.expose(), "refresh-next");
    });
    assert!(orders > 100, "{orders} orders are not all of them");
}

#[test]
fn a_crash_anywhere_presents_nothing_twice() {
    check(&[Ok(granted()), Ok(granted())], Beside::Crash, |run| {
        assert!(times(run, "refresh-1") <= 1);
        let is_marked = run.stored.account.needs_login.is_some();
        let is_renewed = run.stored.credential.generation == 1;
        assert!(is_marked != is_renewed, "the account is neither renewed nor marked");
        assert!(run.ended.iter().flatten().all(|held| held.credential.generation == 1));
    });
}

#[test]
fn a_throttled_presentation_may_be_repeated() {
    let throttled = Err(RefreshError::Throttled { wait: None });
    check(&[throttled, Ok(granted())], Beside::Nothing, |run| {
        assert_eq!(times(run, "refresh-1"), 2);
        assert_eq!(generations(run), [1, 1]);
        assert_eq!(run.stored.account.needs_login, None);
    });
}

#[test]
fn a_lost_answer_is_never_asked_for_again() {
    let lost = Err(RefreshError::Lost { why: "reset".into() });
    check(&[lost, Ok(granted())], Beside::Nothing, |run| {
        assert_eq!(times(run, "refresh-1"), 1);
        assert!(run.stored.account.needs_login.is_some());
        assert_eq!(generations(run), [0_u64; 0]);
    });
}

#[test]
fn a_sign_in_meanwhile_stands() {
    let orders = check(&[Ok(granted()), Ok(granted())], Beside::SignIn, |run| {
        assert!(times(run, "refresh-1") <= 1);
        assert!(times(run, "refresh-signed-in") <= 1);
        let last = run.ended.last().unwrap().as_ref().unwrap();
        assert_eq!(last.credential, run.stored.credential);
        // The sign-in came first when it is the first replacement; then nobody may leave with anything else.
        if run.stored.credential.refresh.expose() == "refresh-signed-in" && run.stored.credential.generation == 1 {
            let mut left = run.ended.iter().flatten();
            assert!(left.all(|held| held.credential == run.stored.credential));
        }
    });
    println!("{orders} orders");
    assert!(orders > 1000, "{orders} orders are not all of them");
}

#[test]
fn a_journal_that_forgets_is_noticed() {
    let mut orders = Orders::default();
    let mut worst = 0;
    loop {
        let run = run(&mut orders, &[Ok(granted()), Ok(granted())], Beside::Crash, Flaw::ForgetfulJournal);
        worst = worst.max(times(&run, "refresh-1"));
        if !orders.next() {
            break;
        }
    }
    assert_eq!(worst, 2);
}
