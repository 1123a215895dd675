//! Installs what is missing through the system's package manager, as root or with a password-less `sudo`.

use std::process::Command;

use anyhow::{Result, bail};

use super::{on_path, run};

/// A package by its name in each package manager.
pub(crate) struct Package {
    pub(crate) what: &'static str,
    pub(crate) apt: &'static str,
    pub(crate) dnf: &'static str,
    pub(crate) apk: &'static str,
    pub(crate) brew: &'static str,
}

/// Installs it, and says so.
///
/// # Errors
/// When there is no known package manager, no right to use it, or it fails; the message says what to install.
pub(crate) fn install(package: &Package) -> Result<()> {
    let (manager, name, steps): (&str, &str, &[&[&str]]) = if on_path("apt-get").is_some() {
        ("apt-get", package.apt, &[&["update", "-qq"], &["install", "-y", "-qq", "--no-install-recommends"]])
    } else if on_path("dnf").is_some() {
        ("dnf", package.dnf, &[&["install", "-y", "-q"]])
    } else if on_path("apk").is_some() {
        ("apk", package.apk, &[&["add", "--quiet"]])
    } else if on_path("brew").is_some() {
        ("brew", package.brew, &[&["install", "--quiet"]])
    } else {
        bail!("{} is missing and no known package manager was found: please install it", package.what);
    };
    println!("{} is missing: installing `{name}` with {manager}", package.what);
    for step in steps {
        let is_install = *step != ["update", "-qq"];
        let mut command = privileged(manager);
        command.args(*step).env("DEBIAN_FRONTEND", "noninteractive");
        // Debian would otherwise create and start a cluster of its own.
        command.env("PG_CREATE_MAIN_CLUSTER", "false");
        if is_install {
            command.arg(name);
        }
        match run(&mut command) {
            Err(error) if is_install => bail!("{}: please install `{name}` ({error:#})", package.what),
            // An update that partly fails often is good enough for the install.
            _ => {}
        }
    }
    Ok(())
}

fn privileged(manager: &str) -> Command {
    if manager == "brew" || nix::unistd::geteuid().is_root() {
        return Command::new(manager);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", "--preserve-env=DEBIAN_FRONTEND", manager]);
    command
}
