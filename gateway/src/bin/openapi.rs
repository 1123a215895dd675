//! Writes the OpenAPI document into `docs/openapi.json`, or checks that what stands there is what the code says.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let document = gateway::openapi::document();
    let done = match std::env::args().nth(1).as_deref() {
        Some("generate") => std::fs::write(&file, document).is_ok(),
        Some("check") => std::fs::read_to_string(&file).is_ok_and(|there| there == document),
        _ => {
            eprintln!("usage: openapi generate | check");
            return ExitCode::from(2);
        }
    };
    if done {
        return ExitCode::SUCCESS;
    }
    eprintln!("docs/openapi.json is not what the code says: run `cargo run -p gateway --bin openapi -- generate`");
    ExitCode::FAILURE
}
