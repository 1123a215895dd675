use std::time::Duration;

use anyhow::{Context, bail};
use ring::digest::{SHA256, digest};
use schemas::merkle::note::VerifierKey;

const SHORTEST_SECRET: usize = 32;
const SESSION_SECONDS: u64 = 60 * 60;

/// How the console is set up.
#[derive(Clone)]
pub struct Settings {
    /// What sessions are sealed with; the same at all gateways, so that each knows the others' sessions.
    pub(super) secret: [u8; 32],
    /// How long a session lasts from the last page that was looked at.
    pub(super) session: Duration,
    /// By which the log's signature is checked on the page of a request.
    pub(super) verifier_keys: Vec<VerifierKey>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Settings {
    /// From variables; `None` where the console is turned off.
    ///
    /// # Errors
    /// Names the variable that is wrong.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Option<Self>> {
        match variable("LAYERS_CONSOLE").as_deref() {
            None | Some("on") => {}
            Some("off") => return Ok(None),
            Some(other) => bail!("LAYERS_CONSOLE: '{other}' is neither on nor off"),
        }
        let secret = match (variable("LAYERS_CONSOLE_SECRET"), variable("LAYERS_ADMIN_KEY")) {
            (Some(secret), _) if secret.len() < SHORTEST_SECRET => {
                bail!("LAYERS_CONSOLE_SECRET has fewer than {SHORTEST_SECRET} characters: it could be guessed")
            }
            (Some(secret), _) => hash("layers console secret", &secret),
            (None, Some(admin_key)) => hash("layers console secret of the admin key", &admin_key),
            (None, None) => random()?,
        };
        let session = match variable("LAYERS_CONSOLE_SESSION_SECONDS") {
            None => SESSION_SECONDS,
            Some(text) => text
                .parse()
                .ok()
                .filter(|seconds| *seconds > 0)
                .with_context(|| format!("LAYERS_CONSOLE_SESSION_SECONDS: '{text}' is no number of seconds"))?,
        };
        let keys = variable("LAYERS_CHECKPOINT_VERIFIER_KEY").unwrap_or_default();
        let keys = keys.split_whitespace().map(str::parse).collect::<Result<_, _>>();
        Ok(Some(Self {
            secret,
            session: Duration::from_secs(session),
            verifier_keys: keys.context("LAYERS_CHECKPOINT_VERIFIER_KEY")?,
        }))
    }
}

/// Both are long and random, so one hash is enough; the purpose keeps what is derived of them apart.
fn hash(purpose: &str, secret: &str) -> [u8; 32] {
    let digest = digest(&SHA256, format!("{purpose}\0{secret}").as_bytes());
    digest.as_ref().try_into().unwrap_or([0; 32])
}

/// Sessions of a gateway that shares nothing end with it.
fn random() -> anyhow::Result<[u8; 32]> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("no random bytes")?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> anyhow::Result<Option<Settings>> {
        Settings::read(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn gateways_with_the_same_variables_know_each_others_sessions() {
        let secret = |variables: &[(&str, &str)]| read(variables).unwrap().unwrap().secret;
        let admin = [("LAYERS_ADMIN_KEY", "an operator's long key")];
        let own = [("LAYERS_CONSOLE_SECRET", "0123456789abcdef0123456789abcdef"), admin[0]];
        assert_eq!(secret(&admin), secret(&admin));
        assert_eq!(secret(&own), secret(&own));
        assert_ne!(secret(&admin), secret(&own));
        assert_ne!(secret(&[]), secret(&[]), "without any, by chance");
        assert!(read(&[("LAYERS_CONSOLE", "off")]).unwrap().is_none());
        assert!(!format!("{:?}", read(&own).unwrap()).contains("secret"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (name, value) in [
            ("LAYERS_CONSOLE", "yes"),
            ("LAYERS_CONSOLE_SECRET", "short"),
            ("LAYERS_CONSOLE_SESSION_SECONDS", "0"),
            ("LAYERS_CHECKPOINT_VERIFIER_KEY", "no key"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(format!("{error:#}").contains(name), "{error:#}");
        }
    }
}
