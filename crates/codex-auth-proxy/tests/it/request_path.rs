//! The path of a request touches no disk: no read, no lock, no write is waited for.

use crate::support::{
    client::Ask,
    disk::Dead,
    upstream::{Seen, Upstream, json, served},
    within,
    world::{FORMS, NOW, Setup, World},
};

/// Requests of each world.
const MANY: usize = 300;

#[tokio::test]
async fn requests_are_answered_while_the_disk_never_answers() {
    for form in FORMS {
        // Account 1 is used up, so that there is something to learn and to keep, too.
        let resets_at = NOW.as_millis() / 1000 + 600;
        let limit = format!(r#"{{"error":{{"type":"usage_limit_reached","resets_at":{resets_at}}}}}"#);
        let answer = move |seen: &Seen| if seen.account() == 1 { json(429, &limit) } else { served() };
        let upstream = Upstream::answering(answer).await;
        let dead = Dead::default();
        let world = World::before(&upstream, Setup { form, dead: dead.clone(), ..Setup::default() }).await;
        dead.now();
        let all = async {
            for number in 0..MANY {
                let got = Ask::turn_of(&format!("session-{}", number % 7)).send(world.port).await;
                assert_eq!(got.status(), 200, "{form:?}: request {number}");
            }
        };
        within("requests that need no disk", all).await;
        world.all_settled().await;
        assert_eq!(
            upstream.asked().iter().filter(|account| **account == 1).count(),
            1,
            "{form:?}: learnt all the same"
        );
    }
}
