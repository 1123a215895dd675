//! A Chromium for tests of pages: found, or installed through the system's package manager. It is driven by playwright, which
//! `dev/stack/sdk/setup` installs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::servers::packages::{self, Package};
use crate::servers::{on_path, run};

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const APPLICATION: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

/// The browser: `LAYERS_CHROMIUM`, PATH, the usual folder of macOS; else it is installed.
///
/// # Errors
/// When none is found and none can be installed; the message says what to do.
pub fn chromium() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("LAYERS_CHROMIUM").map(PathBuf::from) {
        return Ok(named);
    }
    if let Some(found) = find() {
        return Ok(found);
    }
    packages::install(&Package {
        what: "Chromium, for tests of pages,",
        apt: "chromium",
        dnf: "chromium",
        apk: "chromium",
        brew: "google-chrome",
    })?;
    find().context("Chromium was installed and lies where it was not looked for: set LAYERS_CHROMIUM")
}

fn find() -> Option<PathBuf> {
    let application = Some(PathBuf::from(APPLICATION)).filter(|path| path.is_file());
    NAMES.into_iter().find_map(on_path).or(application)
}

/// Finds or installs it, and says which one it is.
///
/// # Errors
/// As for [`chromium`], and when it cannot be executed.
pub fn install() -> Result<()> {
    let path = chromium()?;
    let said = run(Command::new(&path).arg("--version"))?;
    println!("Chromium:    {} ({})", path.display(), said.trim());
    Ok(())
}
