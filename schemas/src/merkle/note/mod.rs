mod key;
mod text;

pub use key::{BadKey, SignerKey, VerifierKey};
pub use text::{BadNote, Note, Untrusted};
