//! The file engine on a disk that fails or stops at each step: what was acknowledged is there, nothing is half there,
//! and no fence, grant or token is given out twice.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{
    Credential, RefreshToken, SessionKey, Timestamp,
    capability::{
        CapabilityError, Commit, Contents, FencedLease, Noted, Observation, OpId, Outcome, StorageEngine as _,
        TokenName, UsageEntry,
    },
};
use codex_auth_store::{
    FileEngine,
    testing::{Fault, FaultFs},
};

use crate::{
    claims::HASH_OF_R1,
    world::{World, put, sign_in},
};

const TTL: Duration = Duration::from_secs(30);
/// More steps than any operation takes.
const MOST_STEPS: u64 = 60;

type Outcomes = Result<(), CapabilityError>;

struct Subject {
    world: World,
    disk: Arc<FaultFs>,
    engine: FileEngine,
}

impl Subject {
    fn new() -> Self {
        let world = World::new();
        let disk = Arc::new(FaultFs::default());
        let store = world.store_over(disk.clone());
        store.edit_now(|pool| put(pool, vec![sign_in(1, "R1", 100)])).expect("written");
        let engine = FileEngine::new(store);
        Self { world, disk, engine }
    }

    /// The engine of whoever comes after the crash, on a disk that works again.
    fn successor(&self) -> FileEngine {
        FileEngine::new(self.world.store())
    }

    fn id(&self) -> codex_auth_core::RecordId {
        self.world.store().read_now().expect("always readable").accounts[0].account.record.clone()
    }
}

/// Does `work` once for each step at which the disk may fail or stop, and looks at what is left.
async fn at_each_step<W, C>(work: W, look: C)
where
    W: AsyncFn(&Subject) -> Outcomes,
    C: AsyncFn(&Subject, bool) -> (),
{
    for fault in [Fault::Fail, Fault::Stop] {
        let mut steps = 0;
        loop {
            let subject = Subject::new();
            subject.disk.now(Some(fault(steps)));
            let outcome = work(&subject).await;
            let was_over = subject.disk.steps() <= steps;
            subject.disk.now(None);
            look(&subject, outcome.is_ok()).await;
            if was_over {
                assert!(outcome.is_ok(), "no step failed, and still: {outcome:?}");
                assert!(steps > 0, "no step at all was tried");
                break;
            }
            steps += 1;
            assert!(steps < MOST_STEPS, "it never ends");
        }
    }
}

#[tokio::test]
async fn a_fence_is_never_given_twice() {
    let acquire = async |subject: &Subject| {
        let leases = subject.engine.parts().leases.expect("there");
        let first = leases.acquire("key", TTL).await?;
        leases.release(first).await?;
        leases.acquire("key", TTL).await.map(drop)
    };
    at_each_step(acquire, async |subject, is_ok| {
        subject.world.clock.advance(TTL);
        let next = subject.successor();
        let lease: FencedLease = next.parts().leases.expect("there").acquire("key", TTL).await.expect("a free key");
        // Two were acknowledged when all went well; whatever was, the next one is greater.
        assert!(!is_ok || lease.fence.0 == 3, "fence {}", lease.fence);
    })
    .await;
}

fn fresh() -> Credential {
    let mut fresh = sign_in(1, "R1-new", 0).credential;
    fresh.refresh = RefreshToken::new("R1-new");
    fresh
}

fn token(name: &str) -> TokenName {
    TokenName::from_hash(name)
}

#[tokio::test]
async fn a_commit_is_whole_or_not_at_all() {
    let commit = async |subject: &Subject| {
        let id = subject.id();
        let parts = subject.engine.parts();
        let lease = parts.leases.expect("there").acquire(id.as_str(), TTL).await?;
        let contents = Contents::Plain(fresh());
        let commit = Commit { id, expected: 0, fence: lease.fence, contents };
        parts.vault.expect("there").commit(commit).await.map(drop)
    };
    at_each_step(commit, async |subject, is_ok| {
        let kept = subject.successor().parts().vault.expect("there").get(&subject.id()).await.expect("readable");
        let is_new = kept.contents.same_tokens(&Contents::Plain(fresh()));
        assert!(is_new || !is_ok, "an acknowledged commit is lost");
        assert_eq!(kept.generation, u64::from(is_new));
    })
    .await;
}

#[tokio::test]
async fn an_acknowledged_answer_is_found_and_its_token_never_clear() {
    let refresh = async |subject: &Subject| {
        let journal = subject.engine.parts().journal.expect("there");
        let Noted::Clear(op) = journal.intent(&subject.id(), &token("first")).await? else { panic!("a new token") };
        journal.outcome(&op, Outcome::Answered(Contents::Plain(fresh()))).await
    };
    at_each_step(refresh, async |subject, is_ok| {
        let next = subject.successor();
        let journal = next.parts().journal.expect("there");
        let open = journal.open_ops().await.expect("readable");
        let answered = open.iter().any(|open| open.answer.is_some());
        assert!(answered || !is_ok, "an acknowledged answer is lost");
        if let [open] = open.as_slice() {
            let noted = journal.intent(&subject.id(), &token("first")).await.expect("told");
            assert_eq!(noted, Noted::MaybeSpent(open.op.clone()));
        }
    })
    .await;
}

#[tokio::test]
async fn an_outcome_loses_no_answer() {
    let end = async |subject: &Subject| {
        let journal = subject.engine.parts().journal.expect("there");
        let op = OpId { record: subject.id(), token: token(HASH_OF_R1) };
        journal.intent(&op.record, &op.token).await?;
        journal.outcome(&op, Outcome::Answered(Contents::Plain(fresh()))).await?;
        journal.outcome(&op, Outcome::Committed).await
    };
    at_each_step(end, async |subject, is_ok| {
        let next = subject.successor();
        let (journal, vault) = (next.parts().journal.expect("there"), next.parts().vault.expect("there"));
        let open = journal.open_ops().await.expect("readable");
        let kept = vault.get(&subject.id()).await.expect("readable").contents;
        let is_there = kept.same_tokens(&Contents::Plain(fresh()));
        assert!(is_there || !is_ok, "an outcome dropped the answer");
        assert!(open.is_empty() || !is_ok, "an ended operation is open");
    })
    .await;
}

#[tokio::test]
async fn books_and_ledger_are_whole() {
    let write = async |subject: &Subject| {
        let parts = subject.engine.parts();
        let seen =
            Observation { key: "k".into(), epoch: 1, used: 5, taken_at: Timestamp::from_secs(1), source: "s".into() };
        parts.facts.expect("there").append(seen).await?;
        let session = SessionKey::parse("s").expect("not blank");
        parts.affinity.expect("there").bind_if_absent(&session, &subject.id(), TTL).await?;
        let _grant = parts.counters.expect("there").reserve("k", 2, 3, TTL).await?;
        parts.ledger.expect("there").append(event()).await.map(drop)
    };
    at_each_step(write, async |subject, is_ok| {
        let next = subject.successor();
        let parts = next.parts();
        let (facts, counters, ledger) =
            (parts.facts.expect("there"), parts.counters.expect("there"), parts.ledger.expect("there"));
        let known = facts.latest("k").await.expect("readable").map(|seen| seen.used);
        assert!(known == Some(5) || (known.is_none() && !is_ok));
        let reserved = counters.usage("k").await.expect("readable").reserved;
        assert!(reserved == 2 || (reserved == 0 && !is_ok));
        // Told again, as whoever heard no answer does; then it is there once, whatever the crash left.
        ledger.append(event()).await.expect("appended");
        let all = Timestamp::from_secs(0)..Timestamp::from_secs(10);
        assert_eq!(ledger.range(all).await.expect("readable"), [event()]);
    })
    .await;
}

fn event() -> UsageEntry {
    UsageEntry { key: "e".into(), at: Timestamp::from_secs(1), subject: "a".into(), amount: 7 }
}
