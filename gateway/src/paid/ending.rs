use std::sync::{Arc, OnceLock};

use crate::error::Charged;

/// How a stream ends, told beside it: an extension of its response, which is there before the end is. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ending(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_near: OnceLock<()>,
    charged: OnceLock<Charged>,
}

impl Ending {
    /// All has come, and is settled now. The last events follow, whoever is there to hear them.
    pub(super) fn comes(&self) {
        let _ = self.0.is_near.set(());
    }

    /// It ends now. The first word counts.
    pub(super) fn is(&self, charged: Charged) {
        self.comes();
        let _ = self.0.charged.set(charged);
    }

    /// Whether nothing but the last events is to come.
    pub(crate) fn is_near(&self) -> bool {
        self.0.is_near.get().is_some()
    }

    /// What a stream cost that has ended.
    pub(crate) fn charged(&self) -> Charged {
        self.0.charged.get().copied().unwrap_or(Charged::Unknown)
    }
}
