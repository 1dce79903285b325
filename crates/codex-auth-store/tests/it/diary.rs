//! The diary of quotas: what is told and foretold after a full disk, a machine that stopped, and a broken file.

use std::{sync::Arc, time::Duration};

use codex_auth_core::{Alert, ForecastBook, QuotaDiary as _, RecordId, Timestamp, WindowReading};
use codex_auth_store::{
    FileDiary, Fs, OsFs, StateFile,
    documents::forecast::ForecastFile,
    testing::{Fault, FaultFs},
};

use crate::world::{NOW, World};

const LENGTH: Duration = Duration::from_hours(5);

fn record() -> RecordId {
    RecordId::parse("record:1").expect("not blank")
}

/// So much of the five hours is used after so many minutes.
fn reading(used_percent: f64, minutes: i64) -> (RecordId, WindowReading) {
    let resets_at = Some(Timestamp::from_secs(NOW + 18_000));
    let reading =
        WindowReading { length: LENGTH, used_percent, resets_at, seen_at: Timestamp::from_secs(NOW + minutes * 60) };
    (record(), reading)
}

fn diary(world: &World, disk: Arc<dyn Fs>) -> FileDiary {
    FileDiary::under(world.layout().base(), world.clock.clone()).over(disk)
}

fn codes(alerts: &[Alert]) -> Vec<String> {
    alerts.iter().map(Alert::code).collect()
}

fn past(world: &World) -> ForecastBook {
    StateFile::<ForecastFile>::under(world.layout().base()).read().expect("readable").document.book
}

#[test]
fn a_full_disk_loses_no_alert_and_repeats_none() {
    let world = World::new();
    let disk = Arc::new(FaultFs::default());
    let diary = diary(&world, disk.clone());
    assert_eq!(codes(&diary.keep(&[reading(76.0, 1)]).expect("there is room")), ["quota_5h_remaining_below_25pct"]);
    let before = world_files(&world);
    disk.now(Some(Fault::Full));
    assert!(diary.keep(&[reading(91.0, 2)]).is_err());
    assert_eq!(codes(&diary.alerts().expect("readable")), ["quota_5h_remaining_below_25pct"]);
    assert_eq!(world_files(&world), before, "what was there stays whole");
    disk.now(None);
    let told = diary.keep(&[reading(92.0, 3)]).expect("there is room again");
    assert_eq!(codes(&told), ["quota_5h_remaining_below_10pct"]);
    assert_eq!(diary.keep(&[reading(93.0, 4)]).expect("there is room"), []);
}

fn world_files(world: &World) -> Vec<Option<Vec<u8>>> {
    ["alerts.json", "forecast.json"].map(|name| OsFs.read(&world.layout().base().join(name)).ok()).into()
}

/// Whatever step stops the machine: both files are read, and of each threshold a person is told once, or not at all
/// where the machine stopped between the writing and the telling.
#[test]
fn whatever_step_stops_both_files_are_read() {
    for step in 0..24 {
        let world = World::new();
        let whole = diary(&world, Arc::new(OsFs));
        whole.keep(&[reading(76.0, 1)]).expect("the disk is well");
        let stopped = diary(&world, Arc::new(FaultFs::with(Fault::Stop(step)))).keep(&[reading(91.0, 2)]);
        let after = whole.keep(&[reading(92.0, 3)]).expect("the disk is well");
        let told = codes(&whole.alerts().expect("readable"));
        assert_eq!(told, ["quota_5h_remaining_below_25pct", "quota_5h_remaining_below_10pct"], "step {step}");
        assert!(stopped.is_err() || after.is_empty(), "step {step}: told twice");
        let last = past(&world).tracks.into_values().next().and_then(|track| track.habit.last());
        assert_eq!(last.map(|last| last.used_percent), Some(92.0), "step {step}");
    }
}

/// A recording of two weeks, written reading by reading as the agent does: what is said of it afterwards is what is said
/// by a book that was never written down.
#[test]
fn what_was_written_foretells_as_what_is_remembered() {
    let world = World::with_rooms();
    let diary = diary(&world, Arc::new(OsFs));
    let mut remembered = ForecastBook::default();
    let mut used = 0.0;
    for step in 0_u32..14 * 24 {
        let (hour, into) = (i64::from(step), step % 5);
        // Some hours are busier than others.
        let rise = f64::from((step * 7919) % 23) * if step % 24 < 14 { 1.4 } else { 0.3 };
        used = if into == 0 { rise } else { f64::min(used + rise, 100.0) };
        let begins = NOW + (hour - i64::from(into)) * 3600;
        let reading = WindowReading {
            length: LENGTH,
            used_percent: used.floor(),
            resets_at: Some(Timestamp::from_secs(begins + 18_000)),
            seen_at: Timestamp::from_secs(NOW + hour * 3600),
        };
        diary.keep(&[(record(), reading)]).expect("kept");
        remembered.saw(&record(), reading);
    }
    let now = Timestamp::from_secs(NOW + 14 * 24 * 3600 - 1800);
    let written = past(&world);
    assert_eq!(written.calibrations, remembered.calibrations);
    assert_eq!(written.pool.calibration, remembered.pool.calibration);
    let says = |book: &ForecastBook| {
        let (length, outlook) = book.outlooks(&record(), now).remove(0);
        book.runs_out(length, &outlook)
    };
    assert_eq!(says(&written), says(&remembered));
    assert!(written.calibrations[&LENGTH].said > 20, "something was foretold meanwhile");
}

#[test]
fn a_broken_past_is_none_and_is_made_anew() {
    let world = World::new();
    let diary = diary(&world, Arc::new(OsFs));
    diary.keep(&[reading(76.0, 1)]).expect("kept");
    for name in ["alerts.json", "forecast.json"] {
        std::fs::write(world.layout().base().join(name), "{ torn").expect("written");
    }
    assert_eq!(past(&world), ForecastBook::default());
    diary.keep(&[reading(77.0, 2)]).expect("made anew");
    assert_eq!(past(&world).tracks.len(), 1);
    assert_eq!(std::fs::read_dir(world.layout().base().join("quarantine")).expect("kept").count(), 2);
}
