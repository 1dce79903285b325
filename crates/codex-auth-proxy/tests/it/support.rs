//! The proxy between a raw client and a scripted upstream, all on real sockets.

pub(crate) mod client;
pub(crate) mod homes;
pub(crate) mod upstream;
pub(crate) mod world;

use std::time::Duration;

/// How long anything may take before a test gives up on it.
const LIMIT: Duration = Duration::from_secs(20);

/// Waits for something, but not for ever.
pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(done) => done,
        Err(_) => panic!("waited in vain for {what}"),
    }
}
