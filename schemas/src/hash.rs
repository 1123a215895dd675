use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

macro_rules! hash {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(pub [u8; 32]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = NotAHash;
            fn from_str(text: &str) -> Result<Self, NotAHash> {
                from_hexadecimal(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAHash;
            fn try_from(text: String) -> Result<Self, NotAHash> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(hash: $name) -> String {
                hash.to_string()
            }
        }
    };
}

hash!(
    /// SHA-256 of a key; 64 hexadecimal digits in text.
    KeyHash
);
hash!(
    /// SHA-256 of a message's bytes; 64 hexadecimal digits in text.
    MessageHash
);

impl MessageHash {
    /// Of these bytes.
    pub fn of(message: &[u8]) -> Self {
        Self(Sha256::digest(message).into())
    }
}

/// Not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("a hash is 64 hexadecimal digits")]
pub struct NotAHash;

fn from_hexadecimal(text: &str) -> Result<[u8; 32], NotAHash> {
    if text.len() != 64 || !text.is_ascii() {
        return Err(NotAHash);
    }
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| NotAHash)?;
    }
    Ok(hash)
}
