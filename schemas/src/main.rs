//! Writes the JSON Schema of each version of each event, and of receipts, into `schemas/json/`, and `schemas/asyncapi.json`; or checks that
//! what stands there is what the types say.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    match std::env::args().nth(1).as_deref() {
        Some("generate") => each(|name, text| std::fs::write(folder.join(name), text).is_ok()),
        Some("check") => each(|name, text| {
            let same = std::fs::read_to_string(folder.join(name)).is_ok_and(|there| there == text);
            if !same {
                eprintln!("schemas/{name} is not what the types say: run `cargo run -p schemas -- generate`");
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
    let mut write = |name: &str, value: serde_json::Result<String>| match value {
        Ok(text) => all &= done(name, &format!("{text}\n")),
        Err(_) => all = false,
    };
    for event in schemas::event::json_schemas() {
        write(&format!("json/{}.json", event.name()), serde_json::to_string_pretty(&event.schema));
    }
    write("json/receipt.v1.json", serde_json::to_string_pretty(&schemas::receipt::json_schema()));
    write("asyncapi.json", serde_json::to_string_pretty(&schemas::asyncapi::document()));
    if all { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
