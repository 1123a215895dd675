//! Who answers live traffic: one upstream by its own variables, or a list (`LAYERS_UPSTREAMS`).

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::base;
use crate::upstream::breaker::Settings;
use crate::upstream::{Api, Connection, MOST, Patience, Setup};

/// The provider where nothing else is said.
const DEFAULT_UPSTREAM: &str = "https://ai-gateway.vercel.sh/v1";
/// Sandbox traffic, and what `ledger reconcile --upstream` leaves out.
const SIMULATOR: &str = "simulator";
/// The simulator takes any key; it is no secret.
const SIMULATOR_KEY: &str = "simulator";
/// Nobody fails more often than this before it is left alone.
const MOST_FAILURES: u16 = 1_000;

/// One upstream of a list, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    name: String,
    base_url: String,
    key_env: Option<String>,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default)]
    models: Vec<String>,
    #[serde(default)]
    apis: Vec<String>,
    #[serde(default)]
    ids: BTreeMap<String, String>,
    connect_seconds: Option<u64>,
    first_byte_seconds: Option<u64>,
    silence_seconds: Option<u64>,
    #[serde(default)]
    retry_timeouts: bool,
    #[serde(default)]
    breaker: Breaker,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Breaker {
    failures: u16,
    rest_seconds: u64,
    longest_rest_seconds: u64,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 5, rest_seconds: 5, longest_rest_seconds: 60 }
    }
}

fn one() -> u32 {
    1
}

/// Who answers sandbox traffic.
pub(super) fn simulator(
    variable: impl Fn(&str) -> Option<String>,
    patience: Patience,
) -> anyhow::Result<Option<Setup>> {
    let Some(url) = variable("LAYERS_SIMULATOR_URL") else { return Ok(None) };
    let connection = Connection::new(SIMULATOR, &base("LAYERS_SIMULATOR_URL", &url)?, SIMULATOR_KEY)?;
    Ok(Some(alone(connection, patience)))
}

/// Live traffic goes to the upstreams that are listed, or to the provider if there is a key or an address for it. Without
/// any, the simulator stands in, so that a machine without a key can try everything; in production that would sell made-up
/// answers, so it is refused.
pub(super) fn live(
    variable: impl Fn(&str) -> Option<String>,
    patience: Patience,
    production: bool,
    simulator: Option<&Setup>,
) -> anyhow::Result<Vec<Setup>> {
    if let Some(text) = variable("LAYERS_UPSTREAMS") {
        return list(&text, variable, patience).context("LAYERS_UPSTREAMS");
    }
    match (variable("AI_GATEWAY_BASE_URL"), variable("AI_GATEWAY_API_KEY")) {
        (None, None) if production => bail!("AI_GATEWAY_API_KEY is not set"),
        (None, None) => Ok(simulator.cloned().into_iter().collect()),
        (url, key) => {
            let base = base("AI_GATEWAY_BASE_URL", url.as_deref().unwrap_or(DEFAULT_UPSTREAM))?;
            let connection = Connection::new("ai-gateway", &base, key.as_deref().unwrap_or("none"))?;
            Ok(vec![alone(connection, patience)])
        }
    }
}

/// Nobody else is there to be asked, so it is asked always.
fn alone(connection: Connection, patience: Patience) -> Setup {
    Setup {
        connection,
        weight: 1,
        models: Vec::new(),
        apis: Vec::new(),
        ids: BTreeMap::new(),
        patience,
        retry_timeouts: false,
        breaker: None,
    }
}

/// A JSON array, or the path of a file with one.
fn list(text: &str, variable: impl Fn(&str) -> Option<String>, patience: Patience) -> anyhow::Result<Vec<Setup>> {
    let is_inline = text.trim_start().starts_with('[');
    let read;
    let text = if is_inline {
        text
    } else {
        read = std::fs::read_to_string(text).with_context(|| format!("cannot read the file {text}"))?;
        &read
    };
    let listed: Vec<Listed> = serde_json::from_str(text).context("this is no list of upstreams")?;
    ensure!(!listed.is_empty(), "the list is empty");
    ensure!(listed.len() <= MOST, "there are more than {MOST} upstreams");
    let mut names = HashSet::new();
    for upstream in &listed {
        ensure!(names.insert(upstream.name.clone()), "there are two upstreams '{}'", upstream.name);
    }
    let set_up = |upstream: Listed| {
        let name = upstream.name.clone();
        set_up(upstream, &variable, patience).with_context(|| format!("upstream '{name}'"))
    };
    listed.into_iter().map(set_up).collect()
}

fn set_up(listed: Listed, variable: impl Fn(&str) -> Option<String>, patience: Patience) -> anyhow::Result<Setup> {
    const LONGEST_NAME: usize = 40;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    let is_name = (1..=LONGEST_NAME).contains(&listed.name.len()) && listed.name.bytes().all(is_plain);
    ensure!(is_name, "a name has up to {LONGEST_NAME} of a-z, 0-9, '-', '_' and '.': it stands in events and metrics");
    ensure!(listed.name != SIMULATOR, "this name is the sandbox's");
    let key = match &listed.key_env {
        Some(name) => variable(name).with_context(|| format!("{name} is not set"))?,
        None => "none".to_owned(),
    };
    let apis = listed.apis.iter().map(|name| {
        let api = Api::ALL.into_iter().find(|api| api.name() == name);
        api.with_context(|| format!("apis: '{name}' is none of chat, responses, embeddings, images, messages"))
    });
    // Ids are written into requests as they are.
    let is_id = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    ensure!(listed.ids.values().all(|id| is_id(id)), "ids: an id has printable characters without spaces and quotes");
    let Breaker { failures, rest_seconds, longest_rest_seconds } = listed.breaker;
    ensure!(failures <= MOST_FAILURES, "breaker.failures: at most {MOST_FAILURES}");
    let seconds = |seconds: Option<u64>, default| seconds.map_or(default, Duration::from_secs);
    Ok(Setup {
        connection: Connection::new(&listed.name, &base("base_url", &listed.base_url)?, &key)?,
        weight: listed.weight,
        models: listed.models,
        apis: apis.collect::<anyhow::Result<_>>()?,
        ids: listed.ids,
        patience: Patience {
            connect: seconds(listed.connect_seconds, patience.connect),
            first_byte: seconds(listed.first_byte_seconds, patience.first_byte),
            silence: seconds(listed.silence_seconds, patience.silence),
        },
        retry_timeouts: listed.retry_timeouts,
        breaker: (failures > 0).then_some(Settings {
            failures,
            rest: Duration::from_secs(rest_seconds),
            longest_rest: Duration::from_secs(longest_rest_seconds),
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        connect: Duration::from_secs(1),
        first_byte: Duration::from_secs(2),
        silence: Duration::from_secs(3),
    };

    fn read(variables: &[(&str, &str)]) -> anyhow::Result<Vec<Setup>> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        live(variable, PATIENCE, true, None)
    }

    #[test]
    fn a_list_says_who_serves_what_and_how_long_each_is_waited_for() {
        let text = r#"[{"name":"a","base_url":"http://a/v1","key_env":"A_KEY","weight":3,"first_byte_seconds":9},
            {"name":"b","base_url":"http://b/v1/","models":["anthropic/*"],"apis":["messages"],"retry_timeouts":true,
             "ids":{"anthropic/claude-haiku-4.5":"claude-haiku-4-5"},"breaker":{"failures":0}}]"#;
        let listed = read(&[("LAYERS_UPSTREAMS", text), ("A_KEY", "secret"), ("AI_GATEWAY_API_KEY", "other")]).unwrap();
        let [a, b] = &listed[..] else { panic!("{listed:?}") };
        assert_eq!((a.connection.name(), a.weight, a.patience.first_byte.as_secs()), ("a", 3, 9));
        assert_eq!((a.patience.connect, a.patience.silence), (PATIENCE.connect, PATIENCE.silence));
        assert_eq!(a.breaker.map(|breaker| (breaker.failures, breaker.rest.as_secs())), Some((5, 5)));
        assert_eq!((&b.apis[..], b.retry_timeouts, b.breaker), (&[Api::Messages][..], true, None));
        assert_eq!(b.connection.uri(Api::Messages), "http://b/v1/messages");
        assert!(a.connection.gives_key_away("secret") && !b.connection.gives_key_away("secret"));
        assert!(!format!("{listed:?}").contains("secret"));
    }

    #[test]
    fn a_list_may_be_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("upstreams.json");
        std::fs::write(&path, r#"[{"name":"a","base_url":"http://a/v1"}]"#).unwrap();
        assert_eq!(read(&[("LAYERS_UPSTREAMS", path.to_str().unwrap())]).unwrap().len(), 1);
    }

    #[test]
    fn what_is_wrong_with_a_list_is_named() {
        for (text, what) in [
            ("[]", "empty"),
            ("[{", "no list of upstreams"),
            ("/no/such/file", "/no/such/file"),
            (r#"[{"name":"a","base_url":"http://a","wieght":1}]"#, "wieght"),
            (r#"[{"name":"a","base_url":"ftp://a"}]"#, "base_url"),
            (r#"[{"name":"A b","base_url":"http://a"}]"#, "a name has"),
            (r#"[{"name":"simulator","base_url":"http://a"}]"#, "sandbox"),
            (r#"[{"name":"a","base_url":"http://a","key_env":"NO_KEY"}]"#, "NO_KEY"),
            (r#"[{"name":"a","base_url":"http://a","apis":["talk"]}]"#, "talk"),
            (r#"[{"name":"a","base_url":"http://a","ids":{"x":"\""}}]"#, "ids"),
            (r#"[{"name":"a","base_url":"http://a"},{"name":"a","base_url":"http://b"}]"#, "two upstreams"),
        ] {
            let error = format!("{:#}", read(&[("LAYERS_UPSTREAMS", text)]).unwrap_err());
            assert!(error.starts_with("LAYERS_UPSTREAMS") && error.contains(what), "{text}: {error}");
        }
    }
}
