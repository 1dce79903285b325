//! When an agent is no longer needed: nobody holds a lease, and nobody may still come with a capability.

use std::time::Duration;

use crate::Proxy;

/// How long after its last client an agent ends.
const AFTER_LAST: Duration = Duration::from_secs(2);
/// How long a new agent waits for its first client.
const FOR_FIRST: Duration = Duration::from_secs(10);
/// How often it is asked whether a capability is still good for a request: it ends by the clock of the wall.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Returns when there has been no lease for [`AFTER_LAST`], nor a capability with a request left. Whoever holds one
/// keeps no connection, and nobody would start an agent for them.
pub(super) async fn idle(proxy: &Proxy) {
    let mut count = proxy.leases().watch();
    // Ends early as soon as a client comes; either way the loop below decides.
    drop(tokio::time::timeout(FOR_FIRST, count.wait_for(|open| *open > 0)).await);
    loop {
        if count.wait_for(|open| *open == 0).await.is_err() {
            return;
        }
        while proxy.leases().permits().are_open(proxy.ports.clock.now()) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let somebody_came = tokio::time::timeout(AFTER_LAST, count.wait_for(|open| *open > 0)).await.is_ok();
        if !somebody_came && !proxy.leases().permits().are_open(proxy.ports.clock.now()) {
            return;
        }
    }
}
