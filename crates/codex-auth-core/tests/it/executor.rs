//! An executor whose every step the test chooses, so that an order of steps is a value.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// Work in progress; what it comes to, it writes down itself.
pub(crate) type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Jobs by the order in which they were given.
#[derive(Default)]
pub(crate) struct Jobs {
    open: BTreeMap<usize, (Job, Arc<Woken>)>,
    given: usize,
}

/// Whether a job asked to be polled since its last poll.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Jobs {
    /// Takes a job in and names it.
    pub(crate) fn give(&mut self, job: Job) -> usize {
        let name = self.given;
        self.given += 1;
        self.open.insert(name, (job, Arc::new(Woken(AtomicBool::new(true)))));
        name
    }

    /// The jobs that can go on now.
    pub(crate) fn ready(&self) -> Vec<usize> {
        let woken = self.open.iter().filter(|(_, (_, woken))| woken.0.load(Ordering::SeqCst));
        woken.map(|(name, _)| *name).collect()
    }

    /// Whether nobody has anything left to do.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether this job has not come to its end.
    pub(crate) fn is_open(&self, name: usize) -> bool {
        self.open.contains_key(&name)
    }

    /// Polls a job once.
    pub(crate) fn step(&mut self, name: usize) {
        let Some((job, woken)) = self.open.get_mut(&name) else { return };
        woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(woken.clone());
        if job.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.open.remove(&name);
        }
    }

    /// Ends a job where it stands, as a crash or a client that leaves does.
    pub(crate) fn kill(&mut self, name: usize) {
        self.open.remove(&name);
    }
}

/// A point at which others may run, and at which a crash may strike.
pub(crate) async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Walks through every sequence of choices, depth first.
#[derive(Default)]
pub(crate) struct Orders {
    taken: Vec<(usize, usize)>,
    at: usize,
}

impl Orders {
    /// The next choice among `of`.
    pub(crate) fn choose(&mut self, of: usize) -> usize {
        if self.at == self.taken.len() {
            self.taken.push((0, of));
        }
        self.at += 1;
        self.taken[self.at - 1].0
    }

    /// Whether the next choice is the first of its sequence.
    pub(crate) fn is_new(&self) -> bool {
        self.at == self.taken.len()
    }

    /// The choices so far, to repeat them by.
    pub(crate) fn line(&self) -> String {
        self.taken.iter().map(|(choice, _)| choice.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// Goes to the next sequence; `false` when there is none.
    pub(crate) fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, of)) = self.taken.pop() {
            if choice + 1 < of {
                self.taken.push((choice + 1, of));
                return true;
            }
        }
        false
    }
}
