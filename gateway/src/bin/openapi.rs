//! Writes the OpenAPI document into `docs/openapi.json` and the tables into `docs/api.md`, or checks that what stands there is
//! what the code says.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let (document, reference) = (docs.join("openapi.json"), docs.join("api.md"));
    let there = std::fs::read_to_string(&reference).unwrap_or_default();
    let Some(with_tables) = gateway::openapi::with_tables(&there) else {
        eprintln!("docs/api.md has no place for one of its tables");
        return ExitCode::FAILURE;
    };
    let files = [(document, gateway::openapi::document().to_owned()), (reference, with_tables)];
    let done = match std::env::args().nth(1).as_deref() {
        Some("generate") => files.iter().all(|(file, text)| std::fs::write(file, text).is_ok()),
        Some("check") => {
            files.iter().all(|(file, text)| std::fs::read_to_string(file).is_ok_and(|there| there == *text))
        }
        _ => {
            eprintln!("usage: openapi generate | check");
            return ExitCode::from(2);
        }
    };
    if done {
        return ExitCode::SUCCESS;
    }
    eprintln!("docs/ is not what the code says: run `cargo run -p gateway --bin openapi -- generate`");
    ExitCode::FAILURE
}
