use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

pub use crate::hash::KeyHash;

const LIVE: &str = "lyr_live_";
const TEST: &str = "lyr_test_";
/// `lyr_live_` and four characters of the secret: enough to tell keys apart, too little to guess one.
const PREFIX_LENGTH: usize = LIVE.len() + 4;

/// A secret as its owner sees it: `lyr_live_` or `lyr_test_` and 32 random bytes in base64url. Shown once, never kept.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// From 32 random bytes.
    pub fn from_random(livemode: bool, random: &[u8; 32]) -> Self {
        Self(format!("{}{}", if livemode { LIVE } else { TEST }, URL_SAFE_NO_PAD.encode(random)))
    }

    /// Whether a text has the form of a key; says nothing about whether it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(LIVE).or_else(|| text.strip_prefix(TEST))?;
        let decoded = URL_SAFE_NO_PAD.decode(random).ok()?;
        (decoded.len() == 32).then(|| Self(text.to_owned()))
    }

    /// The only form in which a key is kept.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// The first characters, by which people tell keys apart.
    pub fn prefix(&self) -> &str {
        &self.0[..PREFIX_LENGTH]
    }

    /// The secret itself, to show it once to its owner.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}…)", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_by_form_and_kept_as_hash() {
        let secret = Secret::from_random(true, &[7; 32]);
        assert_eq!(Secret::parse(secret.reveal()).unwrap().hash(), secret.hash());
        assert_eq!(secret.hash().to_string().parse::<KeyHash>().unwrap(), secret.hash());
        for bad in ["", "lyr_live_", "lyr_live_short", "sk-abc", "lyr_prod_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"]
        {
            assert!(Secret::parse(bad).is_none(), "{bad}");
        }
    }
}
