//! A call to the backend, with its body at hand, so that it can be sent as often as needed.

use bytes::Bytes;
use codex_auth_core::RecordId;
use http::{HeaderMap, Method};

use crate::{accounting::Tab, leases::Caller};

/// What a client asked for, and who it is.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path below the backend.
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) caller: Caller,
    /// The account of the request this is sent for.
    pub(crate) tab: Option<Tab>,
}

impl Call {
    /// The only account that may serve it.
    pub(crate) fn only(&self) -> Option<&RecordId> {
        match &self.caller {
            Caller::Permit(holder) => holder.account.as_ref(),
            Caller::Client | Caller::Lease(_) | Caller::Home(_) => None,
        }
    }

    /// Whether whoever sent it may ask for this model.
    pub(crate) fn lets(&self, model: &str) -> bool {
        match &self.caller {
            Caller::Permit(holder) => holder.lets(model),
            Caller::Client | Caller::Lease(_) | Caller::Home(_) => true,
        }
    }

    /// The same call without its body.
    pub(crate) fn clone_head(&self) -> Self {
        let Self { method, path, query, headers, body: _, caller, tab } = self;
        Self {
            method: method.clone(),
            path: path.clone(),
            query: query.clone(),
            headers: headers.clone(),
            body: Bytes::new(),
            caller: caller.clone(),
            tab: tab.clone(),
        }
    }
}
