//! The books as files: events in segments that prove themselves, signed checkpoints, and what is beside the events. The form of
//! the files is in `docs/export.md`.
//!
//! | | needs | gives |
//! |---|---|---|
//! | export | a database | a folder; one that is there already is gone on with |
//! | check | the folder, a key | that it is what was signed |
//! | import | the folder, an empty database | the same events at the same positions, and all that is derived from them |

mod check;
mod folder;
mod import;
mod segment;
mod write;

pub use check::{Checked, Walk, check};
pub use folder::{Beside, Folder};
pub use import::import;
pub use segment::{Header, SegmentReader, SegmentWriter, Stored};
pub use write::{Exported, SEGMENT, export};
