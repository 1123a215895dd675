use std::sync::{Arc, OnceLock};

use crate::error::Charged;

/// How a stream ended, told beside it: an extension of its response, which is there before the end is. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending(Arc<OnceLock<Charged>>);

impl Ending {
    /// It ends now. The first word counts.
    pub(super) fn is(&self, charged: Charged) {
        let _ = self.0.set(charged);
    }

    /// What a stream cost that has ended.
    pub(crate) fn charged(&self) -> Charged {
        self.0.get().copied().unwrap_or(Charged::Unknown)
    }
}
