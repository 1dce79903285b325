//! Owns the shape of an accounts document: what it says, and how it is changed without losing what we do not know.
//!
//! The engine sees documents through [`Codec`]; each file format is one codec.

use std::fmt::Debug;

use camino::Utf8Path;
use codex_auth_core::{SavedPool, StoreError, Timestamp};

use crate::{
    json::{self, Object},
    merge::Fold,
};

pub(crate) mod positions;
pub(crate) mod record;
pub(crate) mod rests;
pub(crate) mod row;
pub(crate) mod v1;
pub(crate) mod v3;

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

    /// A document without accounts.
    fn empty(&self) -> Object;

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
