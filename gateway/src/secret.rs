use sha2::{Digest, Sha256};

/// A secret by which somebody is let in, kept as its SHA-256 only: whoever reads this process's memory or its logs does not
/// find it.
#[derive(Clone, Copy)]
pub struct HashedSecret([u8; 32]);

impl HashedSecret {
    /// Of its text.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// The hash itself, to derive other secrets from.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this is the secret. Takes the same time for every text of a length.
    pub fn is(&self, text: &[u8]) -> bool {
        let differing = self.0.iter().zip(Sha256::digest(text)).fold(0, |differing, (a, b)| differing | (a ^ b));
        differing == 0
    }
}

impl std::fmt::Debug for HashedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HashedSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_opens() {
        let secret = HashedSecret::of("a long secret");
        assert!(secret.is(b"a long secret"));
        for other in ["", "a long secre", "a long secret ", "A long secret"] {
            assert!(!secret.is(other.as_bytes()), "{other:?}");
        }
        assert!(!format!("{secret:?}").contains("long"));
    }
}
