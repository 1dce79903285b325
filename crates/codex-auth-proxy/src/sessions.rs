//! `sessions.json` in the agent's directory: which account serves which session, and what its cache holds. It is written
//! behind the requests, a few seconds late, and read when an agent starts; two agents that overlap keep each other's.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{Affinity, Bond, RecordId, Rotation, SessionKey, StateDir, StoreError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::complaint::Complaint;

const NAME: &str = "sessions.json";
const LOCK: &str = "sessions.lock";
const VERSION: u64 = 1;
/// How long what is remembered may be missing on disk.
const LATE: Duration = Duration::from_secs(5);
/// How soon it is tried again where another agent was writing.
const AGAIN: Duration = Duration::from_millis(250);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    version: u64,
    generation: u64,
    sessions: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    session: String,
    account: String,
    tokens: u64,
    served_at: i64,
    cached_since: i64,
    came_at: i64,
}

/// Takes in what was written down, and writes on until it is dropped.
pub(crate) fn remember(
    rotation: Arc<Rotation>,
    directory: Arc<dyn StateDir>,
    clock: Arc<dyn codex_auth_core::Clock>,
) -> tokio::task::JoinHandle<()> {
    if let Some(written) = read(directory.as_ref()) {
        rotation.remember(&written, clock.now());
    }
    tokio::spawn(async move {
        let (mut last, mut complaint, mut pause) = (Affinity::default(), Complaint::default(), LATE);
        loop {
            tokio::time::sleep(std::mem::replace(&mut pause, LATE)).await;
            let known = rotation.affinity();
            if known == last {
                continue;
            }
            let (rotation, directory, now) = (rotation.clone(), directory.clone(), clock.now());
            let kept = tokio::task::spawn_blocking(move || keep(&rotation, directory.as_ref(), now)).await;
            let kept = kept.map_err(|ended| ended.to_string()).and_then(|kept| kept.map_err(|error| error.to_string()));
            match kept {
                Ok(true) => last = known,
                // Two agents that started together would meet every time.
                Ok(false) => pause = AGAIN,
                Err(_) => {}
            }
            if let Some(error) = complaint.of(kept) {
                tracing::warn!(error, "the sessions could not be written down; they are known until the agent ends");
            }
        }
    })
}

/// Writes down what is remembered, together with what another agent wrote meanwhile. While that one writes, nothing is
/// done. Returns whether it is written.
pub(crate) fn keep(rotation: &Rotation, directory: &dyn StateDir, now: Timestamp) -> Result<bool, StoreError> {
    let Some(_alone) = directory.try_lock(LOCK)? else { return Ok(false) };
    if let Some(written) = read(directory) {
        rotation.remember(&written, now);
    }
    directory.replace(NAME, text(&rotation.affinity()).as_bytes()).map(|()| true)
}

/// What the directory has; a file that is none is a memory lost, and nothing worse.
fn read(directory: &dyn StateDir) -> Option<Affinity> {
    let bytes = directory.read(NAME).ok()??;
    let document: Document = serde_json::from_slice(&bytes).ok().filter(|read: &Document| read.version == VERSION)?;
    let bond = |row: Row| {
        let bond = Bond {
            record: RecordId::parse(&row.account)?,
            tokens: row.tokens,
            served_at: Timestamp::from_millis(row.served_at),
            cached_since: Timestamp::from_millis(row.cached_since),
            came_at: Timestamp::from_millis(row.came_at),
        };
        Some((SessionKey::parse(&row.session)?, bond))
    };
    Some(Affinity::from_bonds(document.generation, document.sessions.into_iter().filter_map(bond)))
}

fn text(affinity: &Affinity) -> String {
    let row = |(session, bond): (&SessionKey, &Bond)| Row {
        session: session.as_str().to_owned(),
        account: bond.record.as_str().to_owned(),
        tokens: bond.tokens,
        served_at: bond.served_at.as_millis(),
        cached_since: bond.cached_since.as_millis(),
        came_at: bond.came_at.as_millis(),
    };
    let mut sessions: Vec<Row> = affinity.bonds().map(row).collect();
    sessions.sort_by(|a, b| (a.served_at, &a.session).cmp(&(b.served_at, &b.session)));
    let document = Document { version: VERSION, generation: affinity.generation(), sessions };
    serde_json::to_string(&document).expect("plain fields serialise") + "\n"
}

#[cfg(test)]
mod tests {
    use std::{collections::HashMap, sync::Mutex};

    use codex_auth_core::{
        HeldLock, Query, RestPolicy, Strategy,
        testing::{ManualClock, pool},
    };

    use super::*;

    /// A directory in memory, and whether it is full.
    #[derive(Debug, Default)]
    struct Drawer(Mutex<HashMap<String, Vec<u8>>>, Mutex<bool>);

    #[derive(Debug)]
    struct Free;

    impl HeldLock for Free {}

    impl StateDir for Drawer {
        fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.0.lock().expect("whole").get(name).cloned())
        }

        fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
            if *self.1.lock().expect("whole") {
                let (path, why) = (name.to_owned(), "no storage space".to_owned());
                return Err(StoreError::Io { verb: "write", path, why });
            }
            self.0.lock().expect("whole").insert(name.to_owned(), bytes.to_vec());
            Ok(())
        }

        fn remove(&self, name: &str) -> Result<(), StoreError> {
            self.0.lock().expect("whole").remove(name);
            Ok(())
        }

        fn try_lock(&self, name: &str) -> Result<Option<Box<dyn HeldLock>>, StoreError> {
            let is_free = self.read(name)?.is_none();
            Ok(is_free.then(|| Box::new(Free) as Box<dyn HeldLock>))
        }

        fn path_of(&self, name: &str) -> String {
            name.to_owned()
        }
    }

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn agent(generation: u64) -> Rotation {
        let pool = codex_auth_core::SavedPool { affinity_generation: generation, ..pool(2) };
        Rotation::new(pool, Strategy::Hybrid, RestPolicy::default())
    }

    fn session(name: &str) -> SessionKey {
        SessionKey::parse(name).expect("not blank")
    }

    /// Lets an account answer a session.
    fn answers(agent: &Rotation, name: &str, number: usize) {
        let only = Some(pool(2).accounts[number].account.record.clone());
        let query = Query { session: Some(session(name)), only, ..Query::default() };
        let lease = agent.acquire(&query, NOW).expect("it can");
        agent.answering(&lease, NOW);
    }

    fn home(agent: &Rotation, name: &str) -> Option<usize> {
        let record = agent.bound(&session(name), NOW)?;
        pool(2).accounts.iter().position(|held| held.account.record == record)
    }

    #[test]
    fn two_agents_keep_each_others_sessions() {
        let drawer = Drawer::default();
        let (one, two) = (agent(0), agent(0));
        answers(&one, "a", 0);
        answers(&two, "b", 1);
        for agent in [&one, &two] {
            keep(agent, &drawer, NOW).expect("memory obeys");
        }
        let third = agent(0);
        third.remember(&read(&drawer).expect("written"), NOW);
        assert_eq!((home(&third, "a"), home(&third, "b")), (Some(0), Some(1)));
    }

    #[test]
    fn what_could_not_be_written_while_another_agent_wrote_is_not_taken_for_written() {
        let (drawer, agent) = (Drawer::default(), agent(0));
        answers(&agent, "a", 0);
        drawer.replace(LOCK, b"another agent").expect("memory obeys");
        assert!(!keep(&agent, &drawer, NOW).expect("memory obeys"));
        assert!(read(&drawer).is_none());
        drawer.remove(LOCK).expect("memory obeys");
        assert!(keep(&agent, &drawer, NOW).expect("memory obeys"));
        assert!(read(&drawer).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn where_another_agent_was_writing_it_is_tried_again_at_once() {
        let (drawer, agent) = (Arc::new(Drawer::default()), Arc::new(agent(0)));
        answers(&agent, "a", 0);
        drawer.replace(LOCK, b"another agent").expect("memory obeys");
        let work = remember(agent, drawer.clone(), Arc::new(ManualClock::at(NOW)));
        tokio::time::sleep(LATE + AGAIN / 2).await;
        assert!(read(drawer.as_ref()).is_none());
        drawer.remove(LOCK).expect("memory obeys");
        tokio::time::sleep(AGAIN).await;
        assert!(read(drawer.as_ref()).is_some());
        work.abort();
    }

    #[test]
    fn what_the_user_ended_does_not_come_back_from_the_disk() {
        let drawer = Drawer::default();
        let before = agent(0);
        answers(&before, "a", 0);
        keep(&before, &drawer, NOW).expect("memory obeys");
        let after = agent(1);
        after.remember(&read(&drawer).expect("written"), NOW);
        assert_eq!(home(&after, "a"), None);
    }

    #[test]
    fn a_directory_that_takes_nothing_costs_no_session() {
        let (agent, drawer) = (agent(0), Drawer::default());
        answers(&agent, "a", 0);
        keep(&agent, &drawer, NOW).expect("memory obeys");
        let before = drawer.read(NAME).expect("readable");
        answers(&agent, "b", 1);
        *drawer.1.lock().expect("whole") = true;
        let error = keep(&agent, &drawer, NOW).expect_err("full").to_string();
        assert!(error.contains("no storage space"), "{error}");
        assert_eq!(drawer.read(NAME).expect("readable"), before);
        assert_eq!((home(&agent, "a"), home(&agent, "b")), (Some(0), Some(1)), "requests find their accounts");
    }

    #[test]
    fn a_file_that_is_none_is_a_memory_lost() {
        let drawer = Drawer::default();
        drawer.replace(NAME, b"{").expect("memory obeys");
        assert!(read(&drawer).is_none());
        let agent = agent(0);
        answers(&agent, "a", 0);
        keep(&agent, &drawer, NOW).expect("memory obeys");
        assert!(read(&drawer).is_some());
    }
}
