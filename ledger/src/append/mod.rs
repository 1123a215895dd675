//! The one write to the log. Stream messages and commands go into the same batches, messages in the order of the stream:
//!
//! | phase | costs | locked |
//! |---|---|---|
//! | collect | waits for the first item, then takes what is there, a thousand at most, commands that may go ahead first | nothing |
//! | load | one select a table, only of what is not in memory | nothing |
//! | apply | the pure rules of `schemas::books` | nothing |
//! | hash | a SHA-256 an event, and one for each node of the tree that they complete | nothing |
//! | store | one statement a table | the head row: of two writers the stale one fails here |
//! | commit | one flush of the database's log | – |
//! | answer | replies, and word to each emitter how far it is appended | nothing |

mod batch;
mod follow;
mod head;
mod inbox;
pub(crate) mod load;
mod message;
mod reservations;
mod state;
mod store;
mod touched;
mod writer;

pub use batch::{Batch, Took, Written};
pub(crate) use follow::follow_up_payload;
pub use head::{Anchor, Head};
pub use inbox::{Inbox, Item, Submit, inbox};
pub use message::{StreamMessage, Unreadable};
pub use reservations::{Reservation, Reservations};
pub use state::{EventRow, State};
pub use store::{StoreError, claim, ending_name, store};
pub use touched::Touched;
pub use writer::{Command, Outcome, View, Writer, answer};
