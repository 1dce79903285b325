//! Sessions of clients: they think, ask, read, and may leave at any moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use codex_auth_proxy::{Proxy, testing};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::time::timeout;

use crate::{
    backend::{FORBIDDEN, HINT, MODEL, REQUEST},
    judge::{Judge, OVER_BUDGET},
    world::{Flaw, World},
};

/// No request lasts longer, whatever happens.
const ENDS_WITHIN: Duration = Duration::from_mins(30);

/// Codes of refusals that are the agent's own.
const OWN: [&str; 3] = ["codex_runtime_rotation_pool_exhausted", "needs_login", "codex_pinned_account_unavailable"];

/// A prompt as long as a conversation's, where prompts are told.
static PROMPT: [u8; 120_000] = [b' '; 120_000];

/// What all clients of one agent share.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) world: Arc<World>,
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) judge: Arc<Judge>,
    pub(crate) requests: Arc<AtomicU64>,
}

impl Clients {
    /// Goes on until calm weather comes, and asks once more then.
    pub(crate) async fn live(self, session: String) {
        loop {
            let was_calm = self.world.is_calm();
            self.world.a_while(Duration::from_secs(40)).await;
            let request = format!("request-{}", self.requests.fetch_add(1, Ordering::SeqCst));
            let model = (self.world.below(2) == 0).then_some(MODEL);
            self.judge.begins(&request, model);
            self.ask(&request, &session, model).await;
            self.judge.ends(&request, &session);
            if was_calm {
                return;
            }
        }
    }

    /// Asks, and perhaps leaves before the end.
    async fn ask(&self, request: &str, session: &str, model: Option<&'static str>) {
        let (clients, named, of) = (self.clone(), request.to_owned(), session.to_owned());
        let work = async move {
            let done = timeout(ENDS_WITHIN, clients.serve(&named, &of, model)).await;
            clients.world.must(done.is_ok(), || format!("{named} never ends"));
        };
        if !self.world.strikes(8) {
            return work.await;
        }
        let patience = Duration::from_millis(self.world.below(8000) as u64 + 1);
        let has_left = if self.world.flaw == Flaw::DeafToLeaving {
            timeout(patience, tokio::spawn(work)).await.is_err()
        } else {
            timeout(patience, work).await.is_err()
        };
        if has_left {
            self.world.count(|tally| tally.cancelled += 1);
        }
    }

    async fn serve(&self, request: &str, session: &str, model: Option<&str>) {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST, request.parse().unwrap());
        headers.insert("session-id", session.parse().unwrap());
        if let Some(model) = model {
            headers.insert(HINT, format!("model={model};tier=standard").parse().unwrap());
        }
        if self.world.below(30) == 0 {
            headers.insert(FORBIDDEN, HeaderValue::from_static("1"));
        }
        let prompt: &[u8] = if self.world.prompts_are_told { &PROMPT } else { b"{}" };
        let answer = testing::ask(&self.proxy, headers, Bytes::from_static(prompt)).await;
        let (head, mut body) = answer.into_parts();
        let is_good = head.status.is_success();
        if is_good {
            self.judge.answers(request, session);
        }
        let mut read = Vec::new();
        loop {
            match body.frame().await {
                Some(Ok(frame)) => read.extend(frame.into_data().unwrap_or_default()),
                Some(Err(_)) => {
                    self.judge.broke(request);
                    return self.world.count(|tally| tally.broken += 1);
                }
                None => break,
            }
        }
        if is_good {
            return self.judge.read(request, session);
        }
        let said: Value = serde_json::from_slice(&read).unwrap_or(Value::Null);
        let code = said["error"]["code"].as_str().unwrap_or_default();
        self.world.must(head.status != 401, || format!("{request} is answered 401"));
        self.judge.saw(request, head.status.as_u16(), code);
        if code == OVER_BUDGET {
            self.judge.denied(request, said["error"]["resets_at"].as_i64());
        } else if OWN.contains(&code) {
            self.judge.refused(request, session, code);
        }
    }
}
