//! `schemas/asyncapi.json` and the JSON Schemas are what they say they are, by the word of programs that are not ours.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use stack::place::{self, RunDir};

#[test]
fn the_document_is_valid_and_every_sample_has_the_form_that_its_schema_says() {
    let schemas = place::checkout().join("schemas");
    let found = read(&schemas.join("asyncapi.json"), &schemas.join("samples"));
    assert_eq!(found["complaints"], Value::Array(Vec::new()), "{found:#}");
    assert_eq!(found["invalid"], Value::Array(Vec::new()), "{found:#}");
    let samples = std::fs::read_dir(schemas.join("samples")).expect("there are samples").count();
    assert_eq!(found["valid"].as_array().map(Vec::len), Some(samples));
    let has =
        |what: &str, wanted: &str| found[what].as_array().is_some_and(|found| found.iter().any(|one| one == wanted));
    for message in ["UsageRecorded.v1", "UsageRecorded.v2", "QuarantineReplayed.v1", "lease.reply", "heartbeat", "gate"]
    {
        assert!(has("messages", message), "{message} is not in {found:#}");
    }
    for channel in [
        "layers.{cell}.{generation}.events.{account}.UsageRecorded",
        "layers.{cell}.{generation}.gate.{emitter}.{gate}",
        "layers.{cell}.command.add-credits",
        "layers.{cell}.lease",
        "layers.{cell}.appended.{emitter}",
        "layers.{cell}.revoked",
    ] {
        assert!(has("channels", channel), "{channel} is not in {found:#}");
    }
}

/// The validator does find what is wrong.
#[test]
fn a_document_that_names_what_is_not_there_is_refused() {
    let schemas = place::checkout().join("schemas");
    let text = std::fs::read_to_string(schemas.join("asyncapi.json")).expect("there is a document");
    let mut document: Value = serde_json::from_str(&text).expect("it is JSON");
    document["channels"].as_object_mut().and_then(|channels| channels.remove("lease")).expect("there are leases");
    document["channels"]["beacon"]["address"] = 7.into();
    let dir = RunDir::temporary("asyncapi").expect("there is room");
    for folder in ["json", "samples"] {
        std::os::unix::fs::symlink(schemas.join(folder), dir.path().join(folder)).expect("a link can be made");
    }
    std::fs::write(dir.path().join("asyncapi.json"), document.to_string()).expect("there is room");
    let found = read(&dir.path().join("asyncapi.json"), &dir.path().join("samples"));
    let complaints = found["complaints"].to_string();
    assert!(complaints.contains("lease") && complaints.contains("address"), "{complaints}");
}

fn read(document: &Path, samples: &Path) -> Value {
    let script = place::checkout().join("dev/stack/sdk/asyncapi.mjs");
    let mut command = stack::sdk::asyncapi_script(&script).expect("the validator is installed");
    let output = command
        .args([document, samples])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the validator runs");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}; {complaint}"))
}
