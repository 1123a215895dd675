//! Everything that is set from outside, read once from the environment before a port is bound.

mod upstreams;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::http::{HeaderValue, Uri};
use schemas::money::Nanocredits;
use schemas::subject::Cell;

use crate::message_limits::MessageLimits;
use crate::secret::HashedSecret;
use crate::tls::TlsFiles;
use crate::upstream::{Patience, Setup};
use crate::{address, console};

/// The operator's key moves money.
const SHORTEST_ADMIN_KEY: usize = 16;

/// How the gateway is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients are heard.
    pub listen: SocketAddr,
    /// NATS, where events go and the ledger is asked.
    pub nats_url: String,
    /// The cell that this gateway belongs to.
    pub cell: Cell,
    /// PostgreSQL, for the read models; without it only `/v1/credits` is missing.
    pub database_url: Option<String>,
    /// Who answers live traffic; nobody where no key was given and no simulator is there to stand in.
    pub live: Vec<Setup>,
    /// Who answers sandbox traffic.
    pub simulator: Option<Setup>,
    /// Lets requests without a key through, as the built-in sandbox account.
    pub test_secret: Option<HashedSecret>,
    /// The operator's key; without it there is no admin API.
    pub admin_key: Option<HashedSecret>,
    /// Where the admin API is heard, if not beside the other routes.
    pub admin_listen: Option<SocketAddr>,
    /// The most that an output limit which we fill in may cost.
    pub max_credits_per_request: Nanocredits,
    /// How long running answers are waited for at a stop.
    pub drain: Duration,
    /// How long the body of a request is waited for: 10 MB over a slow line take a while.
    pub body_patience: Duration,
    /// How long a whole answer may take; shortened to what the ledger allows a request to run.
    pub longest_answer: Duration,
    /// What becomes of a stream whose client leaves.
    pub on_disconnect: OnDisconnect,
    /// How many messages a request may have, and how long.
    pub message_limits: MessageLimits,
    /// What is kept under an idempotency key.
    pub once_limits: OnceLimits,
    /// The console, unless it is turned off.
    pub console: Option<console::Settings>,
    /// Who may ask from where.
    pub network: Network,
    /// The certificate, where TLS is spoken here.
    pub tls: Option<TlsFiles>,
}

/// Who may ask from where.
#[derive(Clone, Debug)]
pub struct Network {
    /// Proxies whose `X-Forwarded-For` and `-Proto` are believed.
    pub trusted_proxies: Vec<address::Network>,
    /// Web pages that may ask, as `https://chat.example.com`; none by default.
    pub cors_origins: Vec<HeaderValue>,
}

/// What is kept under an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnceLimits {
    /// For how long an answer is.
    pub keep: Duration,
    /// The largest answer that is, bytes: a few images in base64.
    pub largest: usize,
    /// How long another request under the key waits for the first.
    pub wait: Duration,
}

/// What becomes of a stream whose client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDisconnect {
    /// The provider's call is stopped at once; charged is an estimate of what was delivered.
    Stop,
    /// It is heard to its end for so long at most, and charged by the provider's word.
    Drain(Duration),
}

impl Config {
    /// Reads the environment.
    ///
    /// # Errors
    /// Names the variable that is missing or wrong.
    pub fn from_env() -> anyhow::Result<Self> {
        Self::read(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let production = variable("LAYERS_ENV").is_some_and(|name| name == "production");
        let test_secret = variable("LAYERS_TEST_SECRET");
        if production && test_secret.is_some() {
            bail!("LAYERS_TEST_SECRET lets requests in without a key: it must not be set with LAYERS_ENV=production");
        }
        let admin_key = variable("LAYERS_ADMIN_KEY");
        if admin_key.as_ref().is_some_and(|key| key.len() < SHORTEST_ADMIN_KEY) {
            bail!("LAYERS_ADMIN_KEY has fewer than {SHORTEST_ADMIN_KEY} characters: it could be guessed");
        }
        let admin_listen = match variable("LAYERS_ADMIN_LISTEN") {
            Some(_) if admin_key.is_none() => bail!("LAYERS_ADMIN_LISTEN is set, LAYERS_ADMIN_KEY is not"),
            Some(address) => Some(socket("LAYERS_ADMIN_LISTEN", &address)?),
            None => None,
        };
        let seconds = |name: &'static str, default: u64| -> anyhow::Result<Duration> {
            let Some(text) = variable(name) else { return Ok(Duration::from_secs(default)) };
            let seconds = text.parse().with_context(|| format!("{name}: '{text}' is no number of seconds"))?;
            Ok(Duration::from_secs(seconds))
        };
        let patience = Patience {
            connect: seconds("LAYERS_UPSTREAM_CONNECT_SECONDS", 10)?,
            first_byte: seconds("LAYERS_UPSTREAM_FIRST_BYTE_SECONDS", 300)?,
            silence: seconds("LAYERS_UPSTREAM_SILENCE_SECONDS", 120)?,
        };
        let simulator = upstreams::simulator(&variable, patience)?;
        Ok(Self {
            listen: listen(variable("LAYERS_LISTEN"), variable("LAYERS_PORT"))?,
            nats_url: variable("NATS_URL").context("NATS_URL is not set: where is NATS?")?,
            cell: Cell::new(variable("LAYERS_CELL").as_deref().unwrap_or("local")).context("LAYERS_CELL")?,
            database_url: variable("DATABASE_URL"),
            live: upstreams::live(&variable, patience, production, simulator.as_ref())?,
            simulator,
            test_secret: test_secret.as_deref().map(HashedSecret::of),
            admin_key: admin_key.as_deref().map(HashedSecret::of),
            admin_listen,
            max_credits_per_request: match variable("LAYERS_MAX_CREDITS_PER_REQUEST") {
                Some(text) => match text.parse() {
                    Ok(amount) if amount > Nanocredits::ZERO => amount,
                    _ => bail!("LAYERS_MAX_CREDITS_PER_REQUEST: '{text}' is no amount of credits"),
                },
                None => Nanocredits::from_credits(100)?,
            },
            drain: seconds("LAYERS_DRAIN_SECONDS", 30)?,
            message_limits: MessageLimits::parse(variable("LAYERS_MESSAGE_LIMITS").as_deref().unwrap_or_default())
                .context("LAYERS_MESSAGE_LIMITS")?,
            body_patience: seconds("LAYERS_BODY_SECONDS", 60)?,
            longest_answer: seconds("LAYERS_UPSTREAM_TOTAL_SECONDS", 780)?,
            on_disconnect: match variable("LAYERS_ON_DISCONNECT").as_deref() {
                None | Some("stop") => OnDisconnect::Stop,
                Some("drain") => OnDisconnect::Drain(seconds("LAYERS_DRAIN_STREAM_SECONDS", 60)?),
                Some(other) => bail!("LAYERS_ON_DISCONNECT: '{other}' is neither 'stop' nor 'drain'"),
            },
            once_limits: OnceLimits {
                keep: seconds("LAYERS_IDEMPOTENCY_SECONDS", 24 * 60 * 60)?.max(Duration::from_secs(1)),
                largest: match variable("LAYERS_IDEMPOTENCY_MAX_BYTES") {
                    Some(text) => text
                        .parse()
                        .with_context(|| format!("LAYERS_IDEMPOTENCY_MAX_BYTES: '{text}' is no number of bytes"))?,
                    None => 32 * 1024 * 1024,
                },
                wait: seconds("LAYERS_IDEMPOTENCY_WAIT_SECONDS", 20)?,
            },
            console: console::Settings::read(&variable)?,
            network: Network {
                trusted_proxies: list(variable("LAYERS_TRUSTED_PROXIES"), |network| {
                    network.parse().context("LAYERS_TRUSTED_PROXIES")
                })?,
                cors_origins: list(variable("LAYERS_CORS_ORIGINS"), origin)?,
            },
            tls: match (variable("LAYERS_TLS_CERT"), variable("LAYERS_TLS_KEY")) {
                (None, None) => None,
                (Some(certificate), Some(key)) => Some(TlsFiles { certificate: certificate.into(), key: key.into() }),
                _ => bail!("LAYERS_TLS_CERT and LAYERS_TLS_KEY belong together: one of them is not set"),
            },
        })
    }
}

fn listen(address: Option<String>, port: Option<String>) -> anyhow::Result<SocketAddr> {
    match (address, port) {
        (Some(address), _) => socket("LAYERS_LISTEN", &address),
        (None, Some(port)) => {
            let port: u16 = port.parse().with_context(|| format!("LAYERS_PORT: '{port}' is no port"))?;
            Ok(SocketAddr::from(([127, 0, 0, 1], port)))
        }
        (None, None) => Ok(SocketAddr::from(([127, 0, 0, 1], 8080))),
    }
}

/// What stands between commas.
fn list<T>(text: Option<String>, read: impl Fn(&str) -> anyhow::Result<T>) -> anyhow::Result<Vec<T>> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(read).collect()
}

/// An origin as browsers write it.
fn origin(text: &str) -> anyhow::Result<HeaderValue> {
    let uri: Uri = text.parse().ok().with_context(|| format!("LAYERS_CORS_ORIGINS: '{text}' is no origin"))?;
    let is_origin = uri.scheme().is_some() && uri.authority().is_some() && !text.ends_with('/') && uri.path() == "/";
    if !is_origin {
        bail!("LAYERS_CORS_ORIGINS: '{text}' is no origin such as https://chat.example.com");
    }
    HeaderValue::from_str(text).context("LAYERS_CORS_ORIGINS")
}

fn socket(name: &str, address: &str) -> anyhow::Result<SocketAddr> {
    address.parse().with_context(|| format!("{name}: '{address}' is no address:port"))
}

fn base(name: &str, text: &str) -> anyhow::Result<Uri> {
    let uri: Uri = text.trim_end_matches('/').parse().with_context(|| format!("{name}: '{text}' is no URL"))?;
    match uri.scheme_str() {
        Some("http" | "https") if uri.query().is_none() => Ok(uri),
        _ => bail!("{name}: '{text}' is no http or https URL without a query"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> anyhow::Result<Config> {
        Config::read(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (variables, name) in [
            (&[][..], "NATS_URL"),
            (&[("NATS_URL", "n"), ("LAYERS_LISTEN", "here")], "LAYERS_LISTEN"),
            (&[("NATS_URL", "n"), ("LAYERS_PORT", "99999")], "LAYERS_PORT"),
            (&[("NATS_URL", "n"), ("LAYERS_CELL", "a.b")], "LAYERS_CELL"),
            (&[("NATS_URL", "n"), ("AI_GATEWAY_BASE_URL", "ftp://x")], "AI_GATEWAY_BASE_URL"),
            (&[("NATS_URL", "n"), ("LAYERS_MAX_CREDITS_PER_REQUEST", "-1")], "LAYERS_MAX_CREDITS_PER_REQUEST"),
            (&[("NATS_URL", "n"), ("LAYERS_ENV", "production")], "AI_GATEWAY_API_KEY"),
            (&[("NATS_URL", "n"), ("LAYERS_ON_DISCONNECT", "hang")], "LAYERS_ON_DISCONNECT"),
            (&[("NATS_URL", "n"), ("LAYERS_MESSAGE_LIMITS", "gold=1x1")], "LAYERS_MESSAGE_LIMITS"),
            (&[("NATS_URL", "n"), ("LAYERS_ADMIN_KEY", "admin")], "LAYERS_ADMIN_KEY"),
            (&[("NATS_URL", "n"), ("LAYERS_TRUSTED_PROXIES", "10.0.0.0/8, proxy")], "LAYERS_TRUSTED_PROXIES"),
            (&[("NATS_URL", "n"), ("LAYERS_CORS_ORIGINS", "*")], "LAYERS_CORS_ORIGINS"),
            (&[("NATS_URL", "n"), ("LAYERS_CORS_ORIGINS", "https://a.example/chat")], "LAYERS_CORS_ORIGINS"),
            (&[("NATS_URL", "n"), ("LAYERS_TLS_CERT", "cert.pem")], "LAYERS_TLS_KEY"),
            (&[("NATS_URL", "n"), ("LAYERS_BODY_SECONDS", "soon")], "LAYERS_BODY_SECONDS"),
            (&[("NATS_URL", "n"), ("LAYERS_IDEMPOTENCY_MAX_BYTES", "2G")], "LAYERS_IDEMPOTENCY_MAX_BYTES"),
            (&[("NATS_URL", "n"), ("LAYERS_ADMIN_LISTEN", "127.0.0.1:1")], "LAYERS_ADMIN_KEY"),
        ] {
            let error = read(variables).unwrap_err();
            assert!(format!("{error:#}").contains(name), "{error:#}");
        }
    }

    #[test]
    fn a_test_secret_and_production_exclude_each_other() {
        let error = read(&[("NATS_URL", "n"), ("LAYERS_ENV", "production"), ("LAYERS_TEST_SECRET", "s")]).unwrap_err();
        assert!(error.to_string().starts_with("LAYERS_TEST_SECRET"), "{error}");
        assert!(read(&[("NATS_URL", "n"), ("LAYERS_TEST_SECRET", "s")]).is_ok());
    }

    #[test]
    fn without_a_key_the_simulator_stands_in() {
        let config = read(&[("NATS_URL", "n"), ("LAYERS_SIMULATOR_URL", "http://127.0.0.1:9/v1")]).unwrap();
        assert_eq!(config.live[0].connection.name(), "simulator");
        let config = read(&[("NATS_URL", "n"), ("AI_GATEWAY_API_KEY", "vck_x")]).unwrap();
        assert_eq!(config.live[0].connection.name(), "ai-gateway");
        assert!(config.simulator.is_none());
    }
}
