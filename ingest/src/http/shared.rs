//! Texts that exchanges have in common, and what they cost.

use std::sync::Arc;

use super::head::Fields;

/// Texts that mostly are the same from exchange to exchange of a connection: each is allocated once.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) method: Option<Arc<str>>,
    pub(super) host: Option<Arc<str>>,
    pub(super) route: Option<Arc<str>>,
    pub(super) user_agent: Option<Arc<str>>,
    pub(super) content_type: Option<Arc<str>>,
}

/// The text, in the memory of the last one where that was the same.
pub(super) fn share(slot: &mut Option<Arc<str>>, text: &str) -> Arc<str> {
    match slot {
        Some(last) if **last == *text => Arc::clone(last),
        _ => Arc::clone(slot.insert(text.into())),
    }
}

/// About how many bytes of memory header fields hold.
pub(super) fn fields_bytes(fields: &Fields) -> usize {
    fields.map.heap_bytes()
}
