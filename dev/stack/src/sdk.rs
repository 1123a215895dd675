//! The official SDKs of OpenAI and Anthropic, DuckDB, an independent verifier of receipts and a validator of AsyncAPI documents, as `make setup` installs
//! them (`dev/stack/sdk/setup`), to run a script with.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{browser, place};

/// Which SDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// `openai` for Python.
    Python,
    /// `openai` 6 for Node, on the Node that is installed.
    Node6,
    /// `openai` 7 for Node, on the Node that it needs.
    Node7,
    /// `anthropic` for Python.
    Claude,
}

/// A command that runs this module for Node with sigstore's verifier of transparency logs: an implementation of RFC 6962
/// proofs and of signed notes that is not ours.
///
/// # Errors
/// When it is not installed or the script cannot be read.
pub fn sigstore_script(script: &Path) -> Result<Command> {
    run_script("sigstore", "node", true, script)
}

/// A command that runs this module for Node with `@asyncapi/parser` and `ajv`, which are not ours.
///
/// # Errors
/// When they are not installed or the script cannot be read.
pub fn asyncapi_script(script: &Path) -> Result<Command> {
    run_script("asyncapi", "node", true, script)
}

/// A command that runs this Python script with schemathesis and a validator of OpenAPI documents, which are not ours.
///
/// # Errors
/// When they are not installed or the script cannot be read.
pub fn openapi_script(script: &Path) -> Result<Command> {
    run_script("openapi", "bin/python", false, script)
}

/// A command that runs this Python script with DuckDB, as analysts do; its working folder is the caller's to set.
///
/// # Errors
/// When it is not installed or the script cannot be read.
pub fn duckdb_script(script: &Path) -> Result<Command> {
    run_script("duckdb", "bin/python", false, script)
}

/// A command that runs this module for Node with playwright and axe, which drive the browser that `CHROMIUM` names.
///
/// # Errors
/// When they are not installed, there is no browser, or the script cannot be read.
pub fn browser_script(script: &Path) -> Result<Command> {
    let mut command = run_script("browser", "node", true, script)?;
    command.env("CHROMIUM", browser::chromium()?);
    Ok(command)
}

impl Sdk {
    /// All of OpenAI's.
    pub const ALL: [Self; 3] = [Self::Python, Self::Node6, Self::Node7];

    /// A command that runs this script (Python, or a module for Node) with the SDK; its environment is the caller's to
    /// set (`OPENAI_BASE_URL`, `OPENAI_API_KEY`; for Anthropic's `ANTHROPIC_BASE_URL`, `ANTHROPIC_API_KEY`).
    ///
    /// # Errors
    /// When the SDK is not installed or the script cannot be read.
    pub fn script(self, script: &Path) -> Result<Command> {
        let (folder, interpreter) = match self {
            Self::Python => ("python", "bin/python"),
            Self::Node6 => ("node-6", "node"),
            Self::Claude => ("claude", "bin/python"),
            Self::Node7 => ("node-7", "node_modules/.bin/node"),
        };
        run_script(folder, interpreter, matches!(self, Self::Node6 | Self::Node7), script)
    }
}

/// `interpreter` is a path in the folder, or a program on PATH.
fn run_script(folder: &str, interpreter: &str, is_module: bool, script: &Path) -> Result<Command> {
    let folder = place::tools_dir()?.join("sdk").join(folder);
    ensure!(folder.join(".holds").is_file(), "{} is missing: run `make setup`", folder.display());
    let mut command = match interpreter.contains('/') {
        true => Command::new(folder.join(interpreter)),
        false => Command::new(interpreter),
    };
    if is_module {
        command.arg("--input-type=module");
    }
    let source = File::open(script).with_context(|| format!("cannot read {}", script.display()))?;
    // Read from standard input, a module finds its packages from the working folder.
    command.arg("-").stdin(Stdio::from(source)).current_dir(&folder);
    Ok(command)
}
