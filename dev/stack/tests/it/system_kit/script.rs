//! A script of `dev/stack/sdk` with an official SDK: what its caller sees, as one JSON object.

use std::process::{Command, Stdio};

use serde_json::Value;
use stack::place;
use stack::sdk::{self, Sdk};

/// Runs a script; its environment says where and as whom it asks.
pub(crate) fn told_by(sdk: Sdk, script: &str, environment: &[(&str, &str)]) -> Value {
    let script = place::checkout().join("dev/stack/sdk").join(script);
    told(sdk.script(&script).expect("the SDK is installed"), environment)
}

/// Runs a script that drives the browser.
pub(crate) fn seen_by_browser(script: &str, environment: &[(&str, &str)]) -> Value {
    let script = place::checkout().join("dev/stack/sdk").join(script);
    told(sdk::browser_script(&script).expect("the browser is installed"), environment)
}

fn told(mut command: Command, environment: &[(&str, &str)]) -> Value {
    command
        .envs(environment.iter().copied())
        .env("NO_PROXY", "127.0.0.1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = command.spawn().and_then(std::process::Child::wait_with_output).expect("the script runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}; {complaint}"))
}
