//! Every event version ever published keeps a sample in `schemas/samples/`, which must decode for ever; and one that is
//! written today must be the same bytes again.

use std::path::PathBuf;

use schemas::event::{
    Event, FROM_GATEWAYS, Header, Payload, Source, UsageError, UsageErrorCode, encode_payload, json_schemas,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples")
}

fn sample(name: &str) -> String {
    let path = folder().join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_owned()
}

#[test]
fn every_sample_decodes_and_the_newest_of_each_type_is_written_the_same_again() {
    for schema in json_schemas() {
        let (name, text) = (schema.name(), sample(&schema.name()));
        let event = Event::decode(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(event.payload.type_name(), schema.event_type);
        assert_eq!(Header::read(text.as_bytes()).unwrap(), event.header, "{name}");
        if event.payload.version() != schema.version {
            assert!(event.payload.version() > schema.version, "{name} is newer than what is written");
            continue;
        }
        let source = if FROM_GATEWAYS.contains(&schema.event_type) { Source::Gateway } else { Source::Ledger };
        let again = encode_payload(source, &event.header, &event.payload).unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), text, "{name}");
    }
}

#[test]
fn every_sample_is_of_a_version_that_exists_and_no_version_is_left_out() {
    let known: Vec<String> = json_schemas().iter().map(|schema| format!("{}.json", schema.name())).collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "{name}");
    }
    let mut versions = std::collections::BTreeMap::<_, Vec<u32>>::new();
    for schema in json_schemas() {
        versions.entry(schema.event_type).or_default().push(schema.version);
    }
    for (event_type, versions) in versions {
        let all: Vec<u32> = (1..=versions.len() as u32).collect();
        assert_eq!(versions, all, "{event_type}");
    }
}

#[test]
fn a_usage_of_version_1_is_lifted_words_and_all() {
    let old = sample("UsageRecorded.v1");
    let usage = |text: &str| match Event::decode(text.as_bytes()).unwrap().payload {
        Payload::UsageRecorded(data) => *data,
        other => panic!("{other:?}"),
    };
    let whole = usage(&old);
    assert_eq!(whole.error, None);
    let failed = usage(&old.replace(r#""status":"success""#, r#""status":"error","error_message":"it broke off""#));
    let error = UsageError { code: UsageErrorCode::Unspecified, message: "it broke off".into() };
    assert_eq!(failed.error, Some(error));
    // All else is as it was: the sample of version 2 says the same of another answer.
    let mut newer = usage(&sample("UsageRecorded.v2"));
    assert_eq!(newer.error.take().map(|error| error.code), Some(UsageErrorCode::CutStream));
    let (status, source, cost) = (whole.status, whole.source, whole.provider_cost_usd);
    assert_eq!(schemas::event::UsageRecorded { status, source, provider_cost_usd: cost, ..newer }, whole);
}

#[test]
fn the_envelope_of_a_version_from_the_future_can_be_read() {
    let future = sample("CreditsDeducted.v1").replace(r#""version":1"#, r#""version":99"#);
    assert!(Event::decode(future.as_bytes()).is_err());
    assert_eq!(Header::read(future.as_bytes()).unwrap().seq, 3);
    assert!(Header::read(b"{}").is_err());
}

#[test]
fn what_is_no_event_is_refused_by_name() {
    let sample = sample("CreditsDeducted.v1");
    for (from, to, expected) in [
        ("\"CreditsDeducted\"", "\"CreditsVanished\"", "unknown event type"),
        ("\"version\":1", "\"version\":99", "has no version 99"),
        ("\"seq\":3", "\"seq\":0", "at least 1"),
        ("\"amount\":\"3.36\"", "\"amount\":3.36", "not an event"),
        ("\"specversion\"", "specversion", "not an event"),
    ] {
        assert!(sample.contains(from), "{from}");
        let error = Event::decode(sample.replace(from, to).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
