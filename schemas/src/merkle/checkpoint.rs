use std::str::FromStr;

use super::hash::Hash;
use super::note::{BadNote, Note, SignerKey, Untrusted, VerifierKey};

/// What a log says of itself at one size: C2SP's tlog-checkpoint, without extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// Leaves: the last position that it covers.
    pub size: u64,
    /// Root of the tree of that size.
    pub root: Hash,
}

/// Not a checkpoint that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// Not a note.
    #[error(transparent)]
    Note(#[from] BadNote),
    /// Not signed by who should.
    #[error(transparent)]
    Untrusted(#[from] Untrusted),
    /// A note, and no checkpoint.
    #[error("a checkpoint has three lines: origin, size, and the root in base64")]
    Form,
}

impl Checkpoint {
    /// Signs it; the answer is the whole note.
    pub fn sign(&self, key: &SignerKey) -> String {
        key.sign(&self.text())
    }

    /// Reads a note that one of these keys has signed.
    ///
    /// # Errors
    /// When it is no note, not signed by these, or no checkpoint.
    pub fn open(note: &str, keys: &[VerifierKey]) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        note.verify(keys)?.0.parse()
    }

    /// What is signed: three lines.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, self.root)
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;
    /// Reads a note's text. Lines after the third are extensions: they are signed and say nothing here.
    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Form)?.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Form);
        };
        let number: u64 = size.parse().map_err(|_| CheckpointError::Form)?;
        let root = root.parse().map_err(|_| CheckpointError::Form)?;
        let plain = number.to_string() == size && !origin.is_empty() && lines.all(|line| !line.is_empty());
        plain.then(|| Self { origin: origin.to_owned(), size: number, root }).ok_or(CheckpointError::Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_three_signed_lines() {
        let key = SignerKey::from_seed("layers/local", [3; 32]).unwrap();
        let checkpoint = Checkpoint { origin: "layers/local".into(), size: 0, root: Hash::of_empty_tree() };
        let note = checkpoint.sign(&key);
        let text = "layers/local\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n";
        assert!(note.starts_with(&format!("{text}\n\u{2014} layers/local ")), "{note}");
        assert_eq!(Checkpoint::open(&note, &[key.verifier().clone()]), Ok(checkpoint.clone()));
        let stranger = SignerKey::from_seed("layers/local", [4; 32]).unwrap();
        assert_eq!(
            Checkpoint::open(&note, &[stranger.verifier().clone()]),
            Err(CheckpointError::Untrusted(Untrusted::UnknownSigner))
        );
        assert_eq!(format!("{text}an extension\n").parse(), Ok(checkpoint));
        for bad in [
            "layers/local\n0\n",
            "layers/local\n00\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
            "layers/local\n+1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
            "\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
            "layers/local\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hS\n",
            "layers/local\n1\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n",
        ] {
            assert_eq!(bad.parse::<Checkpoint>(), Err(CheckpointError::Form), "{bad:?}");
        }
    }
}
