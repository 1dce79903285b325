//! Owns waiting for documents that follow a durable answer: a command returns when its files say what it did.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How many documents are still to follow; clones share the count.
#[derive(Debug, Clone, Default)]
pub(crate) struct Publishing(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    open: Mutex<usize>,
    ended: Condvar,
}

/// One that is under way, until dropped.
#[derive(Debug)]
pub(crate) struct Following(Arc<Count>);

impl Publishing {
    /// Begins one.
    pub(crate) fn begin(&self) -> Following {
        *self.0.open() += 1;
        Following(Arc::clone(&self.0))
    }

    /// Waits until none is under way, at most so long. Returns whether none is.
    pub(crate) fn wait(&self, at_most: Duration) -> bool {
        let waited = self.0.ended.wait_timeout_while(self.0.open(), at_most, |open| *open > 0);
        let (open, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *open == 0
    }
}

impl Count {
    fn open(&self) -> MutexGuard<'_, usize> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        *self.0.open() -= 1;
        self.0.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_last_one_or_with_its_bound() {
        let publishing = Publishing::default();
        assert!(publishing.wait(Duration::ZERO));
        let (first, second) = (publishing.begin(), publishing.begin());
        drop(first);
        assert!(!publishing.wait(Duration::from_millis(1)));
        let waiting = publishing.clone();
        let waiter = std::thread::spawn(move || waiting.wait(Duration::from_mins(1)));
        drop(second);
        assert!(waiter.join().expect("no panic"));
    }
}
