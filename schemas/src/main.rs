//! Writes the JSON Schema of each event, and of receipts, into `schemas/json/`, or checks that what stands there is what the types say.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("json");
    match std::env::args().nth(1).as_deref() {
        Some("generate") => each(|name, text| std::fs::write(folder.join(name), text).is_ok()),
        Some("check") => each(|name, text| {
            let same = std::fs::read_to_string(folder.join(name)).is_ok_and(|there| there == text);
            if !same {
                eprintln!("schemas/json/{name} is not what the types say: run `cargo run -p schemas -- generate`");
            }
            same
        }),
        _ => {
            eprintln!("usage: schemas generate | check");
            ExitCode::from(2)
        }
    }
}

fn each(mut done: impl FnMut(&str, &str) -> bool) -> ExitCode {
    let mut all = true;
    let events = schemas::event::json_schemas();
    for (event_type, schema) in events.into_iter().chain([("receipt", schemas::receipt::json_schema())]) {
        let Ok(text) = serde_json::to_string_pretty(&schema) else { return ExitCode::FAILURE };
        all &= done(&format!("{event_type}.v1.json"), &format!("{text}\n"));
    }
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
