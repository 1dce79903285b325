//! The log of decisions: what is read after a crash at any step, on a full disk, and when the file is put aside.

use std::sync::{Arc, Mutex};

use codex_auth_core::{
    Decision, Outcome, Query, RestPolicy, Rotation, SessionKey, StoreError, Strategy, Timestamp,
    record::{DecisionLog as _, Moment, Reader, Witness, Writer, is_keyframe},
    testing::pool,
};
use codex_auth_store::{
    DecisionFile, Fs, OsFs,
    testing::{Fault, FaultFs},
};

use crate::world::World;

#[derive(Debug, Default)]
struct Desk(Mutex<Vec<Moment>>);

impl Witness for Desk {
    fn saw(&self, moment: Moment) -> bool {
        self.0.lock().expect("nobody panicked").push(moment);
        true
    }
}

/// A rotation whose decisions are written down one by one.
struct Agent {
    rotation: Rotation,
    desk: Arc<Desk>,
    writer: Writer,
    now: Timestamp,
}

impl Agent {
    fn new() -> Self {
        let (rotation, desk) =
            (Rotation::new(pool(3), Strategy::Hybrid, RestPolicy::default()), Arc::new(Desk::default()));
        rotation.watched_by(desk.clone());
        Self { rotation, desk, writer: Writer::default(), now: Timestamp::from_secs(1_800_000_000) }
    }

    /// A request is decided; its entries, and what was decided.
    fn decide(&mut self) -> (Option<Vec<Vec<u8>>>, Decision) {
        self.now = self.now.after(std::time::Duration::from_secs(7));
        let query = Query { session: SessionKey::parse("s"), ..Query::default() };
        let live = self.rotation.decide(&query, self.now);
        let lease = self.rotation.acquire(&query, self.now).expect("somebody can");
        let _settled = self.rotation.settle(lease, &Outcome::Served, false, self.now);
        let moment = self.desk.0.lock().expect("nobody panicked").pop().expect("it was seen");
        let written = self.writer.write(moment).expect("it fits");
        (written.map(|written| written.entries), live)
    }

    /// Decides and appends; whether the log took it.
    fn record(&mut self, file: &DecisionFile) -> (Result<(), StoreError>, Decision) {
        let (entries, live) = self.decide();
        let appended = entries.map_or(Ok(()), |entries| file.append(&entries));
        if appended.is_err() {
            self.writer.lost(1);
        }
        (appended, live)
    }
}

/// Everything that can be read, made once more.
fn replayed(file: &DecisionFile) -> Vec<Decision> {
    let (mut reader, mut all) = (Reader::default(), Vec::new());
    let each = |entry: &[u8]| {
        if let Ok(Some(recorded)) = reader.take(entry) {
            let again = recorded.replay();
            assert!(recorded.is_same(&again));
            all.push(again);
        }
    };
    file.entries(each).expect("readable");
    all
}

fn file_on(world: &World, disk: Arc<dyn Fs>) -> DecisionFile {
    DecisionFile::within(&world.layout().agent_dir()).over(disk, 1 << 20)
}

/// Whatever step of appending stops the machine by half, what was appended before is read, nothing false is, and the
/// next agent goes on in the same file.
#[test]
fn whatever_step_stops_the_rest_is_read() {
    for step in 0..12 {
        let world = World::new();
        let (mut agent, torn) = (Agent::new(), file_on(&world, Arc::new(FaultFs::with(Fault::Stop(step)))));
        let mut taken = Vec::new();
        let stopped = (0..20).find_map(|_| match agent.record(&torn) {
            (Ok(()), live) => {
                taken.push(live);
                None
            }
            (Err(error), live) => Some((error, live)),
        });
        let (_, last) = stopped.expect("the machine stops");
        let file = file_on(&world, Arc::new(OsFs));
        let (mut next, mut expected) = (Agent::new(), taken);
        let read = replayed(&file);
        assert!(read == expected || read[..] == [&expected[..], &[last]].concat()[..], "step {step}");
        expected = read;
        for _ in 0..3 {
            let (appended, live) = next.record(&file);
            appended.expect("the disk is well");
            expected.push(live);
        }
        assert_eq!(replayed(&file), expected, "step {step}");
    }
}

#[test]
fn a_full_disk_loses_decisions_and_says_how_many() {
    let world = World::new();
    let disk = Arc::new(FaultFs::default());
    let (mut agent, file) = (Agent::new(), file_on(&world, disk.clone()));
    agent.record(&file).0.expect("there is room");
    disk.now(Some(Fault::Full));
    assert!(agent.record(&file).0.is_err());
    disk.now(None);
    let before = replayed(&file).len();
    assert!(before >= 1);
    for _ in 0..20 {
        agent.record(&file).0.expect("there is room");
    }
    let (mut reader, mut lost) = (Reader::default(), 0);
    file.entries(|entry| lost += reader.take(entry).ok().flatten().map_or(0, |recorded| recorded.lost()))
        .expect("readable");
    let read = replayed(&file).len();
    assert_eq!((read + usize::try_from(lost).expect("small"), lost > 0), (22, true), "{read} read, {lost} lost");
}

#[test]
fn a_full_file_is_put_aside_and_the_chain_goes_on_over_both() {
    let world = World::new();
    let file = DecisionFile::within(&world.layout().agent_dir()).over(Arc::new(OsFs), 4000);
    let mut agent = Agent::new();
    let mut live = Vec::new();
    while OsFs.read(&file.path().with_extension("log.1")).is_err() {
        let (appended, decision) = agent.record(&file);
        appended.expect("there is room");
        live.push(decision);
    }
    assert_eq!(replayed(&file), live);
    let tail = file.tail().expect("readable");
    assert!(tail.first().is_some_and(|entry| is_keyframe(entry)));
    let mut reader = Reader::default();
    let last = tail.iter().filter_map(|entry| Some(reader.take(entry).ok()??.replay())).last();
    assert_eq!(last.as_ref(), live.last());
}
