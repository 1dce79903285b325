//! The models that are asked for in place of the one a client named: the call is changed, the ledger hears of it and the
//! client is told. Whether there is one, and which, is core's (`Fallback`).

use codex_auth_core::{Query, Refusal, quota_key};
use http::{HeaderName, HeaderValue};

use crate::{call::Call, permits::asked_model, proxy::Proxy, respond::Answer, rewrite, rules::Origin};

/// Names the model that was asked for, in an answer to a client that had named another one.
const SAYS: HeaderName = HeaderName::from_static("x-codex-multi-auth-model");
/// The backend's word for the model that answers. A client that named another one takes it for the backend's doing, and
/// tells the user of a reason that is not ours.
const THEIRS: &str = "openai-model";

/// The models of one request.
#[derive(Debug, Default)]
pub(crate) struct Instead {
    /// All that were asked for, the client's own first; none as long as nobody lacked one.
    models: Vec<String>,
}

impl Instead {
    /// The call with the next model's name, where the user wants one after this refusal; from here on it is asked for.
    pub(crate) fn step(
        &mut self,
        proxy: &Proxy,
        (call, origin): (&Call, &Origin),
        refusal: &Refusal,
        query: &mut Query,
    ) -> Option<Call> {
        let fallback = proxy.rotation.fallback();
        fallback.chains()?;
        if self.models.is_empty() {
            self.models.push(asked_model(&call.headers, &call.body)?);
        }
        let admits = |model: &str| call.lets(model) && proxy.rules.lets(origin, model);
        let next = fallback.next(refusal, &self.models, admits)?;
        let renamed = rewrite::with_model(call, &next)?;
        let own = self.models.first()?;
        tracing::info!(?own, ?next, "nobody who may serve has the model; another one is asked for");
        if let Some(tab) = &call.tab {
            tab.asking(own, &next);
        }
        query.instead_of = Some(own.clone());
        query.quota_key = quota_key(&next);
        self.models.push(next);
        Some(renamed)
    }

    /// The answer, which says what was asked for where that is not what its client named.
    pub(crate) fn told(&self, mut answer: Answer) -> Answer {
        if let [_own, .., last] = self.models.as_slice() {
            answer.headers_mut().remove(THEIRS);
            if let Ok(model) = HeaderValue::try_from(last) {
                answer.headers_mut().insert(SAYS, model);
            }
        }
        answer
    }
}
