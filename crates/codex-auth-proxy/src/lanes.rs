//! Threads that serve connections. A connection stays on the thread it was given to, with its own event loop, so that
//! nothing is handed over between threads while a stream runs.
//!
//! One thread serves a person's sessions easily. A second one halves the wait of an event that arrives while another
//! stream's is being written; more were never worth their wake-ups on the machines measured.

use std::{io, sync::Arc, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The threads, this one included.
#[derive(Debug)]
pub(crate) struct Lanes(Vec<Lane>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Lane {
    runtime: Handle,
    /// As many copies as there are connections, and one.
    open: Arc<()>,
    /// Dropping it ends the thread; this thread's own lane has none.
    _end: Option<oneshot::Sender<()>>,
}

impl Lanes {
    /// The calling runtime, and as many threads more as make `count`.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let mut lanes = vec![Lane { runtime: Handle::current(), open: Arc::default(), _end: None }];
        for _ in 1..count {
            lanes.push(Lane::start()?);
        }
        Ok(Self(lanes))
    }

    /// The lane with fewest connections; the first of several.
    pub(crate) fn emptiest(&self) -> &Lane {
        self.0.iter().min_by_key(|lane| Arc::strong_count(&lane.open)).expect("this thread is always one of them")
    }
}

impl Lane {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        thread::Builder::new().name("relay".into()).spawn(move || {
            // Nobody ever sends: the other half is dropped when serving is over.
            let _over = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, open: Arc::default(), _end: Some(end) })
    }

    /// Where its tasks run.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// A connection's place: it counts while this is held.
    pub(crate) fn take_place(&self) -> Arc<()> {
        self.open.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_spread_and_places_come_back() {
        let lanes = Lanes::start(2).expect("a thread");
        let first = lanes.emptiest().take_place();
        assert!(Arc::ptr_eq(&first, &lanes.0[0].open));
        let second = lanes.emptiest().take_place();
        assert!(Arc::ptr_eq(&second, &lanes.0[1].open));
        drop(second);
        assert!(Arc::ptr_eq(&lanes.emptiest().open, &lanes.0[1].open));
    }

    #[tokio::test]
    async fn a_lane_runs_on_a_thread_of_its_own() {
        let lanes = Lanes::start(2).expect("a thread");
        let there = lanes.0[1].runtime().spawn(async { thread::current().id() });
        assert_ne!(there.await.expect("the task ends"), thread::current().id());
    }
}
