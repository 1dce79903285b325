//! A model call under a capability: the right model, one more request counted, and no byte after it was revoked.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use codex_auth_core::Spend;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};

use super::{Holder, Permits, model::asked_model};
use crate::{
    body::{BodyStream, StreamError},
    call::Call,
    forward,
    proxy::Proxy,
    respond::{self, Answer},
};

/// Serves the call if the capability is good for it.
pub(crate) async fn serve(proxy: &Arc<Proxy>, call: &Call, holder: &Holder) -> Answer {
    let permits = proxy.leases.permits();
    if !holder.models.is_empty() {
        let asked = asked_model(&call.headers, &call.body);
        if !asked.is_some_and(|asked| holder.lets(&asked)) {
            return respond::permit_model(&holder.models);
        }
    }
    match permits.spend(proxy, holder).await {
        Ok(Spend::Granted) => {}
        Ok(Spend::Spent) => return respond::permit_spent(holder.expires_at),
        Ok(Spend::Ended | Spend::ReserveFirst) => return respond::permit_ended(),
        Err(error) => {
            tracing::error!(%error, "a request could not be counted");
            return respond::permit_uncounted();
        }
    }
    let revoked = permits.revocation(&holder.id);
    tokio::pin!(revoked);
    let tab = call.tab.clone();
    tokio::select! {
        biased;
        () = &mut revoked => respond::permit_ended(),
        answer = forward::forward(proxy, call) => answer.map(|body| {
            let revoked = permits.revocation(&holder.id);
            until_revoked(body, async move {
                revoked.await;
                if let Some(tab) = tab {
                    tab.revoked();
                }
            })
        }),
    }
}

impl Permits {
    /// Counts a request; what it uses up is reserved on disk first.
    async fn spend(&self, proxy: &Proxy, holder: &Holder) -> Result<Spend, codex_auth_core::StoreError> {
        loop {
            let spent = self.lock().spend(&holder.id, proxy.ports.clock.now());
            if spent != Spend::ReserveFirst {
                return Ok(spent);
            }
            let id = holder.id.clone();
            self.change(move |table| table.reserve(&id)).await?;
        }
    }

    /// Returns when this one is revoked.
    fn revocation(&self, id: &str) -> impl Future<Output = ()> + Send + use<> {
        let (mut revoked, id) = (self.0.revoked.subscribe(), id.to_owned());
        async move {
            // The sender lives as long as the agent.
            drop(revoked.wait_for(|revoked| revoked.contains(&id)).await);
        }
    }
}

fn until_revoked(body: BodyStream, revoked: impl Future<Output = ()> + Send + 'static) -> BodyStream {
    Revocable { body: Some(body), revoked: Box::pin(revoked) }.boxed_unsync()
}

/// A body that breaks off when its capability is revoked; the account is let go of at once.
struct Revocable {
    body: Option<BodyStream>,
    revoked: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Body for Revocable {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let this = &mut *self;
        if this.body.is_some() && this.revoked.as_mut().poll(context).is_ready() {
            this.body = None;
            return Poll::Ready(Some(Err(StreamError::Revoked)));
        }
        match &mut this.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}
