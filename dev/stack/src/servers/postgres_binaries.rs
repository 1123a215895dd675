//! Finds PostgreSQL's server programs, or installs them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

use super::packages::{self, Package};
use super::{on_path, run};

const OLDEST: u32 = 15;

/// Where `postgres`, `initdb` and `psql` lie.
#[derive(Debug, Clone)]
pub struct PostgresBinaries {
    /// Their folder.
    pub dir: PathBuf,
    /// Major version.
    pub version: u32,
}

impl PostgresBinaries {
    /// The path of one of them.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// `psql`, which some systems keep apart from the server.
    pub fn psql(&self) -> PathBuf {
        let beside = self.program("psql");
        if beside.is_file() { beside } else { on_path("psql").unwrap_or(beside) }
    }
}

/// A PostgreSQL that is new enough: `LAYERS_PG_BIN`, PATH, the usual system folders; else it is installed.
///
/// # Errors
/// When none is found and none can be installed; the message says what to do.
pub fn postgres_binaries() -> Result<PostgresBinaries> {
    static FOUND: OnceLock<PostgresBinaries> = OnceLock::new();
    if let Some(found) = FOUND.get() {
        return Ok(found.clone());
    }
    let found = find_or_install()?;
    Ok(FOUND.get_or_init(|| found).clone())
}

fn find_or_install() -> Result<PostgresBinaries> {
    if let Some(dir) = std::env::var_os("LAYERS_PG_BIN").map(PathBuf::from) {
        return look_in(&dir).context("LAYERS_PG_BIN");
    }
    if let Some(found) = find() {
        return Ok(found);
    }
    packages::install(&Package {
        what: "PostgreSQL 15 or newer",
        apt: "postgresql",
        dnf: "postgresql-server",
        apk: "postgresql",
        brew: "postgresql@17",
    })?;
    find().context("the installed PostgreSQL is older than 15, or lies where it was not looked for: set LAYERS_PG_BIN")
}

fn find() -> Option<PostgresBinaries> {
    let on_path = on_path("postgres").and_then(|program| program.canonicalize().ok());
    let on_path = on_path.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    if let Some(found) = on_path.and_then(|dir| look_in(&dir).ok()) {
        return Some(found);
    }
    let versioned = ["/usr/lib/postgresql", "/usr/libexec", "/opt/homebrew/opt", "/usr/local/opt", "/usr"];
    let below = versioned.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten();
    let dirs = below.map(|entry| entry.path().join("bin")).chain(["/usr/libexec/postgresql".into()]);
    dirs.filter(|dir| dir.join("initdb").is_file())
        .filter_map(|dir| look_in(&dir).ok())
        .max_by_key(|found| found.version)
}

fn look_in(dir: &Path) -> Result<PostgresBinaries> {
    let said = run(Command::new(dir.join("postgres")).arg("--version"))?;
    let version = parse_version(&said).with_context(|| format!("{} says {said:?}", dir.display()))?;
    if version < OLDEST || !dir.join("initdb").is_file() {
        bail!("{} holds {}, and Layers needs initdb and postgres {OLDEST} or newer", dir.display(), said.trim());
    }
    Ok(PostgresBinaries { dir: dir.to_path_buf(), version })
}

/// The major version in `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn parse_version(said: &str) -> Option<u32> {
    let version = said.split("(PostgreSQL) ").nth(1)?;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(parse_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("postgres (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version("mysqld 8"), None);
    }
}
