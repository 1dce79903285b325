//! A desk before one writer: what is handed over never waits, what comes within a moment is written together, and the
//! disk is met on a thread of its own.

use std::{fmt, mem, sync::Arc, time::Duration};

use codex_auth_core::StoreError;
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::{Instant, sleep_until},
};

/// Where things are handed over; clones are the same desk.
pub(crate) struct Desk<T> {
    queue: mpsc::Sender<Order<T>>,
    hurry: Arc<Notify>,
}

enum Order<T> {
    Keep(T),
    Finish(oneshot::Sender<()>),
}

/// Where the writer takes them from.
pub(crate) struct Inbox<T> {
    orders: mpsc::Receiver<Order<T>>,
    hurry: Arc<Notify>,
    gathered: Duration,
    begun: Batch<T>,
    until: Option<Instant>,
}

/// What is to be written together, in its order.
pub(crate) struct Batch<T> {
    pub(crate) items: Vec<T>,
    waiting: Vec<oneshot::Sender<()>>,
}

/// A desk with room for so many things, and its inbox, which gathers for so long after the first one.
pub(crate) fn desk<T>(room: usize, gathered: Duration) -> (Desk<T>, Inbox<T>) {
    let ((queue, orders), hurry) = (mpsc::channel(room), Arc::new(Notify::new()));
    let begun = Batch { items: Vec::new(), waiting: Vec::new() };
    (Desk { queue, hurry: hurry.clone() }, Inbox { orders, hurry, gathered, begun, until: None })
}

impl<T> Clone for Desk<T> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), hurry: self.hurry.clone() }
    }
}

impl<T> fmt::Debug for Desk<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Desk").field("room", &self.queue.capacity()).finish_non_exhaustive()
    }
}

impl<T> Desk<T> {
    /// Hands something over, or says that there is no room for it.
    pub(crate) fn hand_over(&self, item: T) -> bool {
        let has_room = self.queue.try_send(Order::Keep(item)).is_ok();
        if self.queue.capacity() < self.queue.max_capacity() / 2 {
            self.hurry.notify_one();
        }
        has_room
    }

    /// Waits until everything handed over so far is written.
    pub(crate) async fn finish(&self) {
        let (done, wait) = oneshot::channel();
        if self.queue.send(Order::Finish(done)).await.is_ok() {
            self.hurry.notify_one();
            // The writer is gone only when the runtime ends; then nothing is left to wait for.
            let _ended = wait.await;
        }
    }
}

impl<T> Inbox<T> {
    /// What came within a moment; `None` once nobody is left who hands things over. Broken off, it loses nothing.
    pub(crate) async fn batch(&mut self) -> Option<Batch<T>> {
        let until = if let Some(until) = self.until {
            until
        } else {
            let first = self.orders.recv().await?;
            self.take(first);
            *self.until.insert(Instant::now() + self.gathered)
        };
        // One wake-up for all of them: each one's own would cost more than what it brings.
        if self.begun.waiting.is_empty() && !self.gathered.is_zero() {
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.hurry.notified() => {}
            }
        }
        while let Ok(order) = self.orders.try_recv() {
            self.take(order);
        }
        self.until = None;
        Some(mem::replace(&mut self.begun, Batch { items: Vec::new(), waiting: Vec::new() }))
    }

    fn take(&mut self, order: Order<T>) {
        match order {
            Order::Keep(item) => self.begun.items.push(item),
            Order::Finish(done) => self.begun.waiting.push(done),
        }
    }
}

impl<T> Batch<T> {
    /// Whether somebody waits until it is written.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Tells those who wait that it is written, or given up.
    pub(crate) fn done(self) {
        for done in self.waiting {
            let _nobody_waits = done.send(());
        }
    }
}

/// Meets the disk on a thread of its own; `what` names the file or files in the error, should that thread end.
pub(crate) async fn apart<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|ended| Err(StoreError::Io { verb: "use", path: what.to_owned(), why: ended.to_string() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn what_comes_within_a_moment_is_written_together() {
        let (desk, mut inbox) = desk(8, MOMENT);
        let writing = tokio::spawn(async move { (inbox.batch().await, inbox.batch().await, inbox.batch().await) });
        assert!(desk.hand_over(1));
        // The writer begins to gather.
        tokio::task::yield_now().await;
        tokio::time::advance(MOMENT / 2).await;
        assert!(desk.hand_over(2));
        tokio::time::advance(MOMENT).await;
        tokio::task::yield_now().await;
        assert!(desk.hand_over(3));
        drop(desk);
        let (first, second, last) = writing.await.expect("it ends");
        let items = |batch: Option<Batch<i32>>| batch.map(|batch| batch.items);
        assert_eq!((items(first), items(second), items(last)), (Some(vec![1, 2]), Some(vec![3]), None));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_who_waits_for_the_end_waits_for_the_moment() {
        let (desk, mut inbox) = desk(8, Duration::from_hours(1));
        let began = Instant::now();
        let writing = tokio::spawn(async move {
            let batch = inbox.batch().await.expect("handed over");
            let items = batch.items.clone();
            batch.done();
            items
        });
        assert!(desk.hand_over(1));
        desk.finish().await;
        assert_eq!((writing.await.expect("written"), began.elapsed()), (vec![1], Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_desk_that_fills_up_is_cleared_at_once_and_a_full_one_says_so() {
        let (desk, mut inbox) = desk(4, Duration::from_hours(1));
        let began = Instant::now();
        let handed: Vec<bool> = (0..6).map(|item| desk.hand_over(item)).collect();
        assert_eq!(handed, [true, true, true, true, false, false]);
        let batch = inbox.batch().await.expect("handed over");
        assert_eq!((batch.items, began.elapsed()), (vec![0, 1, 2, 3], Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_is_broken_off_loses_nothing() {
        let (desk, mut inbox) = desk(8, MOMENT);
        assert!(desk.hand_over(1));
        let broken_off = tokio::time::timeout(MOMENT / 2, inbox.batch()).await;
        assert!(broken_off.is_err() && desk.hand_over(2));
        let began = Instant::now();
        let items = inbox.batch().await.map(|batch| batch.items);
        assert_eq!((items, began.elapsed()), (Some(vec![1, 2]), MOMENT / 2));
    }
}
