//! A script of `dev/stack/sdk` with an official SDK: what its caller sees, as one JSON object.

use std::process::Stdio;

use serde_json::Value;
use stack::place;
use stack::sdk::Sdk;

/// Runs a script; its environment says where and as whom it asks.
pub(crate) fn told_by(sdk: Sdk, script: &str, environment: &[(&str, &str)]) -> Value {
    let script = place::checkout().join("dev/stack/sdk").join(script);
    let mut command = sdk.script(&script).expect("the SDK is installed");
    command
        .envs(environment.iter().copied())
        .env("NO_PROXY", "127.0.0.1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = command.spawn().and_then(std::process::Child::wait_with_output).expect("the script runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{sdk:?}: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{sdk:?}: {error}; {complaint}"))
}
