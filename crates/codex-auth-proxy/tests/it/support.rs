//! The proxy between a raw client and a scripted upstream, all on real sockets.

pub(crate) mod agents;
pub(crate) mod client;
pub(crate) mod disk;
pub(crate) mod homes;
pub(crate) mod upstream;
pub(crate) mod world;

use std::time::Duration;

/// How long anything may take before a test gives up on it.
const LIMIT: Duration = Duration::from_secs(20);

/// Waits until something holds that nobody tells of.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let look = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(what, look).await;
}

/// Waits for something, but not for ever.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LIMIT, work).await;
    done.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
