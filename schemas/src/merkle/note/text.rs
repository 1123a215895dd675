use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::VerifierKey;

/// A text and who says to have signed it. Nothing is believed before [`Note::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// Not a signed note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a signed note: {0}")]
pub struct BadNote(&'static str);

/// Nobody whom we believe has signed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// A signature under the name and id of a key that we know is not by that key.
    #[error("a signature is not by the key that it names")]
    Forged,
    /// Signed by others only.
    #[error("none of the known keys has signed it")]
    UnknownSigner,
}

/// More signatures are not read: a note is of a few keys.
const MOST_SIGNATURES: usize = 64;

impl Note {
    /// Takes a note apart.
    ///
    /// # Errors
    /// Says what is not as the specification wants it.
    pub fn parse(note: &str) -> Result<Self, BadNote> {
        if note.bytes().any(|byte| byte < 0x20 && byte != b'\n') {
            return Err(BadNote("it has control characters"));
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(BadNote("no empty line before the signatures"))?;
        let lines = lines.strip_suffix('\n').ok_or(BadNote("it does not end in a newline"))?;
        let signatures = lines.split('\n').map(Signature::parse).collect::<Option<Vec<_>>>();
        let signatures = signatures.ok_or(BadNote("a signature is not '\u{2014} <name> <base64>'"))?;
        if signatures.len() > MOST_SIGNATURES {
            return Err(BadNote("too many signatures"));
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// The text, if one of these keys has signed it. Signatures by other keys are ignored; one that names a key of these and
    /// is not by it makes the whole note worthless.
    ///
    /// # Errors
    /// When nobody of these has signed, or a signature is forged.
    pub fn verify<'a>(&'a self, known: &'a [VerifierKey]) -> Result<(&'a str, &'a VerifierKey), Untrusted> {
        let mut by = None;
        for signature in &self.signatures {
            let Some(key) = known.iter().find(|key| key.name() == signature.name && key.id() == signature.id) else {
                continue;
            };
            if !key.has_signed(self.text.as_bytes(), &signature.bytes) {
                return Err(Untrusted::Forged);
            }
            by = by.or(Some(key));
        }
        by.map(|key| (self.text.as_str(), key)).ok_or(Untrusted::UnknownSigner)
    }
}

impl Signature {
    fn parse(line: &str) -> Option<Self> {
        let (name, bytes) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let named = !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c == '+');
        let bytes = STANDARD.decode(bytes).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<4>()?;
        (named && !bytes.is_empty()).then(|| Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BadKey, SignerKey};
    use super::*;

    /// The example of the specification: C2SP signed-note, "Verifier keys".
    const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
                        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn the_example_of_the_specification_verifies() {
        let key: VerifierKey = KEY.parse().unwrap();
        assert_eq!(key.to_string(), KEY);
        let note = Note::parse(NOTE).unwrap();
        let (text, by) = note.verify(std::slice::from_ref(&key)).unwrap();
        assert_eq!((text, by), ("This is an example message.\n", &key));
        let other = Note::parse(&NOTE.replace("an example", "no example")).unwrap();
        assert_eq!(other.verify(&[key]), Err(Untrusted::Forged));
        assert_eq!(note.verify(&[]), Err(Untrusted::UnknownSigner));
    }

    #[test]
    fn keys_are_read_as_they_are_written_and_a_changed_one_is_none() {
        let signer = SignerKey::from_seed("layers/local", [7; 32]).unwrap();
        let (secret, public) = (signer.reveal(), signer.verifier().to_string());
        assert_eq!(secret.parse::<SignerKey>().unwrap().verifier(), signer.verifier());
        assert_eq!(public.parse::<VerifierKey>().unwrap(), *signer.verifier());
        assert!(!format!("{signer:?}").contains(&secret[20..]));
        assert_eq!(public.replace("layers/local", "layers/other").parse::<VerifierKey>(), Err(BadKey::Id));
        assert_eq!(secret.replace("layers/local", "layers/other").parse::<SignerKey>().unwrap_err(), BadKey::Id);
        for bad in ["", "a", "a+b", "a+0000000+AQ==", "a+0000000g+AQ==", "a+00000000+AQ==", "a+00000000+!"] {
            assert_eq!(bad.parse::<VerifierKey>(), Err(BadKey::Form), "{bad}");
        }
        for bad in ["", "a b", "a+b", "a\n"] {
            assert_eq!(SignerKey::from_seed(bad, [7; 32]).unwrap_err(), BadKey::Name, "{bad}");
        }
    }

    #[test]
    fn notes_are_signed_with_empty_lines_in_their_text_and_by_several() {
        let (one, other) =
            (SignerKey::from_seed("one", [1; 32]).unwrap(), SignerKey::from_seed("other", [2; 32]).unwrap());
        let text = "first\n\nlast\n";
        let both = format!("{}{}", one.sign(text), &other.sign(text)[text.len() + 1..]);
        let note = Note::parse(&both).unwrap();
        for key in [one.verifier(), other.verifier()] {
            assert_eq!(note.verify(std::slice::from_ref(key)).unwrap(), (text, key));
        }
        for bad in ["", "text\n", "text\n\n", "text\n\n\u{2014} name\n", "text\n\n\u{2014} name AAAA\n", "te\txt\n\n"] {
            assert!(Note::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Note::parse(both.trim_end()).is_err(), "without its last newline it is another text");
    }
}
