//! What attempts taught about accounts, until every pool read from disk tells it too.

use crate::{RecordId, SavedPool, consequence::Consequence};

/// Names what an attempt taught, for [`Rotation::kept`](crate::Rotation::kept).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lesson(u64);

/// All that a pool just read may not say yet.
#[derive(Debug, Default)]
pub(super) struct Lessons {
    learnt: Vec<Learnt>,
    /// Names what is learnt next.
    next: u64,
}

#[derive(Debug)]
struct Learnt {
    name: Lesson,
    record: RecordId,
    change: Consequence,
    is_on_disk: bool,
}

impl Lessons {
    /// Adds one.
    pub(super) fn learn(&mut self, record: &RecordId, change: Consequence, is_on_disk: bool) -> Lesson {
        let name = Lesson(self.next);
        self.next += 1;
        self.learnt.push(Learnt { name, record: record.clone(), change, is_on_disk });
        name
    }

    /// Notes that one is on disk.
    pub(super) fn kept(&mut self, lesson: Lesson) {
        if let Some(learnt) = self.learnt.iter_mut().find(|learnt| learnt.name == lesson) {
            learnt.is_on_disk = true;
        }
    }

    /// A pool is about to be read: what is on disk by now, it will tell.
    pub(super) fn reading(&mut self) {
        self.learnt.retain(|learnt| !learnt.is_on_disk);
    }

    /// Tells a pool just read what it may not say.
    pub(super) fn teach(&self, pool: &mut SavedPool) {
        for Learnt { record, change, .. } in &self.learnt {
            if let Some(held) = pool.find_mut(record) {
                change.apply(held);
            }
        }
    }
}
