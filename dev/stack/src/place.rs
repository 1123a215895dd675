//! Where things lie: the checkout, the compiled programs, downloaded tools, and the folder of one run.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The root of the checkout that this crate was compiled in.
pub fn checkout() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).to_path_buf()
}

/// `target/<profile>`, where cargo puts our programs: the folder of the running program, without a test's `deps`.
pub fn profile_dir() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("the running program's own path is not known")?;
    let dir = exe.parent().context("the running program has no folder")?;
    Ok(if dir.ends_with("deps") { dir.parent().unwrap_or(dir).to_path_buf() } else { dir.to_path_buf() })
}

/// One of our own programs, compiled with the same profile as the running one.
///
/// # Errors
/// When it was not built; the message says how to.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = profile_dir()?.join(name);
    if path.is_file() {
        return Ok(path);
    }
    let release = if path.parent().is_some_and(|p| p.ends_with("release")) { " --release" } else { "" };
    bail!("{} is missing: run `cargo build --workspace --bins{release}`", path.display())
}

/// `target/layers-tools`: what is made or fetched once and used by all tests. Removed by `cargo clean`.
///
/// # Errors
/// When it cannot be created.
pub fn tools_dir() -> Result<PathBuf> {
    let profile = profile_dir()?;
    let dir = profile.parent().unwrap_or(&profile).join("layers-tools");
    std::fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    Ok(dir)
}

/// The user's cache folder for Layers, shared by checkouts; inside `target` where there is no home.
///
/// # Errors
/// When it cannot be created.
pub fn cache_dir() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let Some(cache) = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache"))) else {
        return tools_dir();
    };
    let dir = cache.join("layers");
    match std::fs::create_dir_all(&dir) {
        Ok(()) => Ok(dir),
        Err(_) => tools_dir(),
    }
}

/// `wanted`, or, where `uid` could not walk down to it (a checkout below `/root`), a folder of the same name below
/// `/var/tmp/layers-<hash of the checkout's path>`.
pub fn reachable_by(uid: u32, wanted: &Path) -> PathBuf {
    let walkable = |dir: &Path| {
        dir.metadata().is_ok_and(|m| m.permissions().mode() & 0o001 != 0 || (m.uid() == uid && m.mode() & 0o100 != 0))
    };
    if wanted.ancestors().skip(1).filter(|dir| dir.exists()).all(walkable) {
        return wanted.to_path_buf();
    }
    // FNV-1a: the same in each version of the compiler, so that a later run finds its data again.
    let parent = wanted.parent().unwrap_or(wanted).as_os_str().as_bytes();
    let hash = parent
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
    PathBuf::from(format!("/var/tmp/layers-{hash:016x}")).join(wanted.file_name().unwrap_or_default())
}

/// The folder of one run: kept (`.layers`), or a test's own, removed with it unless the test panics.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    temporary: Option<tempfile::TempDir>,
}

impl RunDir {
    /// A new folder that goes away with this value.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn temporary(prefix: &str) -> Result<Self> {
        // Other users (PostgreSQL's) must be able to walk through it.
        let dir = tempfile::Builder::new()
            .prefix(&format!("layers-{prefix}-"))
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .context("cannot create a temporary folder")?;
        Ok(Self { path: dir.path().to_path_buf(), temporary: Some(dir) })
    }

    /// A folder that stays.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn kept(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self { path: path.to_path_buf(), temporary: None })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Some(dir) = self.temporary.take()
            && std::thread::panicking()
        {
            eprintln!("logs and data of the failed test are kept in {}", dir.keep().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_moves_where_its_user_can_walk() -> Result<()> {
        let open = RunDir::temporary("open")?;
        let owner = open.path().metadata()?.uid();
        let stranger = owner + 1;
        let wanted = open.path().join("checkout/.layers/postgres");
        assert_eq!(reachable_by(stranger, &wanted), wanted);
        std::fs::create_dir(open.path().join("checkout"))?;
        std::fs::set_permissions(open.path().join("checkout"), std::fs::Permissions::from_mode(0o700))?;
        assert_eq!(reachable_by(owner, &wanted), wanted);
        let elsewhere = reachable_by(stranger, &wanted);
        assert!(elsewhere.starts_with("/var/tmp") && elsewhere.ends_with("postgres"), "{}", elsewhere.display());
        assert_ne!(reachable_by(stranger, &open.path().join("checkout/other/postgres")), elsewhere);
        Ok(())
    }
}
