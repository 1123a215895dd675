//! Every event version ever published keeps a sample in `schemas/samples/`, which must decode for ever; and one that is
//! written today must be the same bytes again.

use std::path::PathBuf;

use schemas::event::{EVENT_TYPES, Event, Payload, Source, encode_payload};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("samples")
}

#[test]
fn every_sample_decodes_and_is_written_the_same_again() {
    for event_type in EVENT_TYPES {
        let path = folder().join(format!("{event_type}.v1.json"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let event = Event::decode(text.trim_end().as_bytes()).unwrap_or_else(|error| panic!("{event_type}: {error}"));
        assert_eq!(event.payload.type_name(), *event_type);
        let source = match event.payload {
            Payload::RequestAuthorized(_)
            | Payload::UsageRecorded(_)
            | Payload::CreditsDeducted(_)
            | Payload::AuthorizationReleased(_)
            | Payload::LeaseReturned(_) => Source::Gateway,
            _ => Source::Ledger,
        };
        let again = encode_payload(source, &event.header, &event.payload).unwrap();
        assert_eq!(String::from_utf8(again).unwrap(), text.trim_end(), "{event_type}");
    }
}

#[test]
fn every_sample_is_of_a_type_that_exists() {
    let known: Vec<String> = EVENT_TYPES.iter().map(|event_type| format!("{event_type}.v1.json")).collect();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known.contains(&name), "{name}");
    }
}

#[test]
fn what_is_no_event_is_refused_by_name() {
    let sample = std::fs::read_to_string(folder().join("CreditsDeducted.v1.json")).unwrap();
    for (from, to, expected) in [
        ("\"CreditsDeducted\"", "\"CreditsVanished\"", "unknown event type"),
        ("\"version\":1", "\"version\":99", "has no version 99"),
        ("\"seq\":3", "\"seq\":0", "at least 1"),
        ("\"amount\":\"3.36\"", "\"amount\":3.36", "not an event"),
        ("\"specversion\"", "specversion", "not an event"),
    ] {
        assert!(sample.contains(from), "{from}");
        let error = Event::decode(sample.replace(from, to).trim_end().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
