//! x
use codex_auth_core::{SavedPool, StoreError};
use crate::engine::Engine;
pub(crate) fn replay(_engine: &Engine, _pool: &mut SavedPool) -> Result<(), StoreError> { Ok(()) }
pub(crate) fn sweep(_engine: &Engine, _pool: &SavedPool) {}
