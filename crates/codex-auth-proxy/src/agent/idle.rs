//! When an agent is no longer needed.

use std::time::Duration;

use crate::Proxy;

/// How long after its last client an agent ends.
const AFTER_LAST: Duration = Duration::from_secs(2);
/// How long a new agent waits for its first client.
const FOR_FIRST: Duration = Duration::from_secs(10);

/// Returns when there has been no lease for [`AFTER_LAST`].
pub(super) async fn idle(proxy: &Proxy) {
    let mut count = proxy.leases().watch();
    // Ends early as soon as a client comes; either way the loop below decides.
    drop(tokio::time::timeout(FOR_FIRST, count.wait_for(|open| *open > 0)).await);
    loop {
        if count.wait_for(|open| *open == 0).await.is_err() {
            return;
        }
        let somebody_came = tokio::time::timeout(AFTER_LAST, count.wait_for(|open| *open > 0)).await.is_ok();
        if !somebody_came {
            return;
        }
    }
}
