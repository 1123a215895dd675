//! The release before this one, built from the repository's own history: what a rolling upgrade begins with. Its commit is in
//! `dev/stack/previous-release.txt`.
//!
//! | below `target/layers-tools/previous-release` | is |
//! |---|---|
//! | `<commit>/` | its programs, once they are built |
//! | `target/` | its build, kept: the next release before shares most of it |

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::place;
use crate::servers::Lock;

/// What is replaced in an upgrade.
const PROGRAMS: [&str; 3] = ["gateway", "ledger", "projector"];

/// The folder with the programs of the release before.
///
/// # Errors
/// When they are not built; the message says what to do about it.
pub fn previous() -> Result<PathBuf> {
    let commit = commit()?;
    let programs = folder()?.join(&commit);
    if programs.is_dir() {
        return Ok(programs);
    }
    history(&commit)?;
    bail!("{} is missing: run `make setup`, which builds the release before this one", programs.display())
}

/// Builds it, unless it is there.
///
/// # Errors
/// When its history is not there, or it cannot be built.
pub fn build() -> Result<()> {
    let (commit, folder) = (commit()?, folder()?);
    let _one_at_a_time = Lock::wait(&folder.join("lock"))?;
    let programs = folder.join(&commit);
    if programs.is_dir() {
        return Ok(());
    }
    history(&commit)?;
    eprintln!("building the release before this one ({commit}); this takes some minutes, once");
    let source = folder.join("source");
    unpack(&commit, &source)?;
    let target = folder.join("target");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--locked"]).current_dir(&source);
    for program in PROGRAMS {
        cargo.args(["--bin", program]);
    }
    cargo.env("CARGO_TARGET_DIR", &target).env("SQLX_OFFLINE", "true").env("CARGO_PROFILE_DEV_DEBUG", "0");
    ensure!(
        cargo.status().context("cannot run cargo")?.success(),
        "the release before this one does not build: see above"
    );
    // The folder is there as a whole or not at all.
    let half = folder.join("half");
    clear(&half)?;
    for program in PROGRAMS {
        fs::copy(target.join("debug").join(program), half.join(program)).with_context(|| format!("no {program}"))?;
    }
    fs::rename(&half, &programs).with_context(|| format!("cannot make {}", programs.display()))?;
    fs::remove_dir_all(&source).with_context(|| format!("cannot remove {}", source.display()))
}

/// Whether a failure of [`build`] is only that there is no history to build from: then all tests but those of the upgrade can
/// run, and those say so.
pub fn lacks_history() -> bool {
    commit().and_then(|commit| history(&commit)).is_err()
}

fn commit() -> Result<String> {
    let file = place::checkout().join("dev/stack/previous-release.txt");
    let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let commit = text.trim();
    ensure!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{} names no commit", file.display());
    Ok(commit.to_owned())
}

fn folder() -> Result<PathBuf> {
    let folder = place::tools_dir()?.join("previous-release");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// Git has the commit.
fn history(commit: &str) -> Result<()> {
    let looked = git().args(["cat-file", "-e", &format!("{commit}^{{commit}}")]).stderr(Stdio::piped()).output();
    let why = match looked {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("git: {error}"),
    };
    bail!(
        "the release before this one cannot be built: commit {commit} (dev/stack/previous-release.txt) is not here ({why}). \
         In a shallow clone run `git fetch --unshallow`, or `git fetch origin {commit}`; in CI check the whole history out \
         (fetch-depth: 0); without a clone, make one"
    )
}

fn unpack(commit: &str, into: &Path) -> Result<()> {
    clear(into)?;
    let mut archive =
        git().args(["archive", "--format=tar", commit]).stdout(Stdio::piped()).spawn().context("cannot run git")?;
    let files = archive.stdout.take().context("git archive has no output")?;
    let unpacked = Command::new("tar").args(["-x", "-C"]).arg(into).stdin(files).status().context("cannot run tar")?;
    ensure!(archive.wait()?.success() && unpacked.success(), "commit {commit} cannot be unpacked");
    Ok(())
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(place::checkout());
    git
}

/// An empty folder.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}
