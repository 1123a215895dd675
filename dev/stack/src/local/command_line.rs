//! The commands of our programs, as an operator types them, against a running stack.

use std::process::{Command, Output};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Stack;
use crate::place;

impl Stack {
    /// Runs `ledger <args>` and gives what it prints.
    ///
    /// # Errors
    /// When its exit code is not 0; with all that it printed.
    pub fn ledger_cli(&self, args: &[&str]) -> Result<String> {
        self.cli("ledger", args)
    }

    /// Runs `ledger <args> --json` and gives the object that it prints.
    ///
    /// # Errors
    /// When its exit code is not 0, or it prints something else.
    pub fn ledger_json(&self, args: &[&str]) -> Result<Value> {
        let text = self.ledger_cli(&[args, &["--json"]].concat())?;
        serde_json::from_str(&text).with_context(|| format!("`ledger {} --json` printed {text}", args.join(" ")))
    }

    /// Runs `projector <args>` and gives what it prints.
    ///
    /// # Errors
    /// When its exit code is not 0; with all that it printed.
    pub fn projector_cli(&self, args: &[&str]) -> Result<String> {
        self.cli("projector", args)
    }

    /// Runs one of our programs with the owner's view of the stack's servers, whatever its exit code.
    ///
    /// # Errors
    /// When it was not built or cannot be executed.
    pub fn cli_output(&self, program: &str, args: &[&str]) -> Result<Output> {
        Command::new(place::program(program)?)
            .args(args)
            .envs(self.common_env(self.database_url()))
            .env("RUST_LOG", "warn")
            .output()
            .with_context(|| format!("cannot execute {program}"))
    }

    fn cli(&self, program: &str, args: &[&str]) -> Result<String> {
        let output = self.cli_output(program, args)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let complained = String::from_utf8_lossy(&output.stderr);
        bail!("`{program} {}` failed ({}):\n{said}{complained}", args.join(" "), output.status)
    }
}
