use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use sha2::{Digest, Sha256};

/// Ed25519 in the list of signature types.
const ED25519_TYPE: u8 = 0x01;
const PRIVATE: &str = "PRIVATE+KEY+";

/// Not a key, or not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not of the form.
    #[error("a verifier key is <name>+<8 hex digits>+<base64>, a signer key the same after PRIVATE+KEY+")]
    Form,
    /// Spaces and plus signs would end the name.
    #[error("a key's name is not empty and has no spaces, no control characters and no '+'")]
    Name,
    /// A kind of signature that is not Ed25519.
    #[error("only Ed25519 keys are known here")]
    Kind,
    /// The id is not that of this name and key: something was changed, or copied in part.
    #[error("the key's id is not that of its name and key")]
    Id,
}

/// By which signatures are believed. Its text is `<name>+<id in hex>+<base64 of type and key>`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: [u8; 32],
}

impl VerifierKey {
    fn new(name: &str, key: [u8; 32]) -> Result<Self, BadKey> {
        let fits = !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
        if !fits {
            return Err(BadKey::Name);
        }
        let hash = Sha256::new().chain_update(name).chain_update([b'\n', ED25519_TYPE]).chain_update(key).finalize();
        Ok(Self { name: name.to_owned(), id: [hash[0], hash[1], hash[2], hash[3]], key })
    }

    /// Whose.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first bytes of SHA-256 over name, type and key: which key signed, where names are the same.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The public key, 32 bytes as in RFC 8032.
    pub fn public_key(&self) -> &[u8; 32] {
        &self.key
    }

    /// Whether this key has signed this.
    pub(super) fn has_signed(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.key).verify(text, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), encode(&self.key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

impl FromStr for VerifierKey {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Self, BadKey> {
        let (name, id, key) = parts(text)?;
        let key = Self::new(name, key)?;
        if key.id == id { Ok(key) } else { Err(BadKey::Id) }
    }
}

/// What signs. Its text is `PRIVATE+KEY+<name>+<id in hex>+<base64 of type and seed>`, a secret.
pub struct SignerKey {
    seed: [u8; 32],
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl SignerKey {
    /// From 32 random bytes.
    ///
    /// # Errors
    /// When the name cannot stand in a note.
    pub fn from_seed(name: &str, seed: [u8; 32]) -> Result<Self, BadKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| BadKey::Form)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| BadKey::Form)?;
        Ok(Self { seed, pair, verifier: VerifierKey::new(name, public)? })
    }

    /// The key that others check its signatures with.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The secret itself, to store it.
    pub fn reveal(&self) -> String {
        let id = u32::from_be_bytes(self.verifier.id);
        format!("{PRIVATE}{}+{id:08x}+{}", self.verifier.name, encode(&self.seed))
    }

    /// Signs a text that ends in a newline; the answer is the whole note.
    pub fn sign(&self, text: &str) -> String {
        let mut signature = self.verifier.id.to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {} {}\n", self.verifier.name, STANDARD.encode(signature))
    }
}

impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({}…)", self.verifier.name)
    }
}

impl FromStr for SignerKey {
    type Err = BadKey;
    fn from_str(text: &str) -> Result<Self, BadKey> {
        let (name, id, seed) = parts(text.strip_prefix(PRIVATE).ok_or(BadKey::Form)?)?;
        let key = Self::from_seed(name, seed)?;
        if key.verifier.id == id { Ok(key) } else { Err(BadKey::Id) }
    }
}

fn encode(key: &[u8; 32]) -> String {
    let mut typed = vec![ED25519_TYPE];
    typed.extend_from_slice(key);
    STANDARD.encode(typed)
}

fn parts(text: &str) -> Result<(&str, [u8; 4], [u8; 32]), BadKey> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(BadKey::Form);
    };
    let hex = id.len() == 8 && id.bytes().all(|digit| digit.is_ascii_hexdigit());
    let id = u32::from_str_radix(id, 16).ok().filter(|_| hex).ok_or(BadKey::Form)?;
    let key = STANDARD.decode(key).map_err(|_| BadKey::Form)?;
    let (kind, key) = key.split_first().ok_or(BadKey::Form)?;
    if *kind != ED25519_TYPE {
        return Err(BadKey::Kind);
    }
    Ok((name, id.to_be_bytes(), key.try_into().map_err(|_| BadKey::Form)?))
}
