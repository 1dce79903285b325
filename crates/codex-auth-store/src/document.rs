//! Owns the shape of an accounts document: what it says, and how it is changed without losing what we do not know.
//!
//! The engine sees documents through [`Codec`]; each file format is one codec.

use std::{collections::HashSet, fmt::Debug, sync::Arc};

use camino::Utf8Path;
use codex_auth_core::{SavedPool, StoreError, Timestamp};
use serde_json::Value;

use crate::{
    json::{self, Object},
    layout::PoolFormat,
    merge::Fold,
    opencode::OpenCodeCodec,
};

pub(crate) mod positions;
pub(crate) mod record;
pub(crate) mod rests;
pub(crate) mod row;
pub(crate) mod v1;
pub(crate) mod v3;

/// The codec of a format.
pub(crate) fn codec_of(format: &PoolFormat) -> Arc<dyn Codec> {
    match format {
        PoolFormat::CommandLine => Arc::new(v3::V3),
        PoolFormat::OpenCode { domain, .. } => Arc::new(OpenCodeCodec { domain: *domain }),
    }
}

/// One file format of a pool. Pure: bytes and instants in, values out.
pub(crate) trait Codec: Debug + Send + Sync {
    /// Checks the version and brings older ones to today's shape.
    fn upgrade(&self, path: &Utf8Path, document: Object, now: Timestamp) -> Result<Object, StoreError>;

    /// What the document says by itself, without the sidecar and the tokens.
    fn decode(&self, document: &Object, now: Timestamp) -> SavedPool;

    /// The document in which accounts that are one are one row, and what referred to either refers to that row.
    /// A format without positions needs nothing here: `encode` leaves out the rows of accounts that are gone.
    fn folded(&self, document: Object, _folds: &[Fold], _now: Timestamp) -> Object {
        document
    }

    /// The document that says `pool`: `document` with only what differs changed.
    fn encode(&self, document: &Object, pool: &SavedPool, now: Timestamp) -> Object;

    /// The names that rows say themselves: such an account stays the same whatever becomes of its token.
    fn names(&self, document: &Object) -> HashSet<String>;

    /// A document without accounts.
    fn empty(&self) -> Object;

    /// The document that has only these rows, which are all that is left of a broken one.
    fn of_rows(&self, rows: Vec<Value>) -> Object;

    /// Completes a pool by what the sidecar keeps because the document has no room for it.
    fn complete(&self, _beside: &Object, _pool: &mut SavedPool, _now: Timestamp) {}

    /// The sidecar with what the document has no room for.
    fn beside(&self, sidecar: Object, _pool: &SavedPool) -> Object {
        sidecar
    }

    /// The codec of the other pool in the same document, where there is one.
    fn neighbour(&self) -> Option<Arc<dyn Codec>> {
        None
    }

    /// Whether a document that is broken counts as empty once its bytes are kept and no copy of it is left.
    fn begins_anew(&self) -> bool {
        false
    }

    /// How many times we wrote the document, where the format lets us note it; a foreign writer drops the note.
    fn revision(&self, _document: &Object) -> Option<u64> {
        None
    }

    /// The document with its next revision.
    fn revised(&self, document: Object) -> Object {
        document
    }

    /// The text of a document.
    fn text(&self, document: &Object) -> Vec<u8> {
        json::pretty(document)
    }
}
