//! Data folders of PostgreSQL: as whom it runs, a fresh one, and the template that tests copy.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::unistd::{User, geteuid};

use super::{Lock, PostgresBinaries, copy_dir, run};
use crate::{place, secret};

/// Superuser and owner of the database; not `postgres`, so that nobody mistakes this server for the system's.
pub(super) const OWNER: &str = "layers";
pub(super) const DATABASE: &str = "layers";

/// User and group that the server must become: PostgreSQL refuses to run as root. `None` when we are not root.
pub(super) fn user() -> Result<Option<(u32, u32)>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name).with_context(|| format!("cannot look up the user {name}"))? {
            return Ok(Some((user.uid.as_raw(), user.gid.as_raw())));
        }
    }
    anyhow::bail!("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

/// The user id that must be able to reach the data.
pub(super) fn user_id() -> Result<u32> {
    Ok(user()?.map_or_else(|| geteuid().as_raw(), |(uid, _)| uid))
}

/// Makes a new data folder with an empty database `layers`, its owner's password and all.
pub(super) fn create(binaries: &PostgresBinaries, data: &Path, password: &str) -> Result<()> {
    let user = user()?;
    let parent = data.parent().context("a data folder needs a parent")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let as_user = |name: &str| {
        let mut command = Command::new(binaries.program(name));
        command.current_dir("/");
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        command
    };
    fs::create_dir(data).with_context(|| format!("cannot create {}", data.display()))?;
    fs::set_permissions(data, Permissions::from_mode(0o700))?;
    let password_file = data.with_extension("password");
    fs::write(&password_file, password)?;
    fs::set_permissions(&password_file, Permissions::from_mode(0o600))?;
    if let Some((uid, gid)) = user {
        chown(data, Some(uid), Some(gid))?;
        chown(&password_file, Some(uid), Some(gid))?;
    }
    let made = run(as_user("initdb")
        .args(["--no-sync", "--encoding=UTF8", "--locale=C", "--auth=scram-sha-256", "--wal-segsize=4"])
        .arg(format!("--username={OWNER}"))
        .arg(format!("--pwfile={}", password_file.display()))
        .arg(format!("--pgdata={}", data.display())));
    fs::remove_file(&password_file)?;
    made.context("initdb")?;
    create_database(&mut as_user("postgres"), data)
}

/// Single-user mode: no port, no password, and the server is gone when its input ends.
fn create_database(postgres: &mut Command, data: &Path) -> Result<()> {
    let statement = tempfile::tempfile().context("cannot create a temporary file")?;
    {
        use std::io::{Seek, Write};
        let mut file = &statement;
        writeln!(file, "create database {DATABASE}")?;
        file.rewind()?;
    }
    run(postgres.args(["--single", "-D"]).arg(data).arg("postgres").stdin(Stdio::from(statement)))
        .map(|_| ())
        .context("create database")
}

/// Copies the template, which is made once, to `data`, and gives its owner's password. initdb takes seconds, a copy a
/// fraction of one.
pub(super) fn copy_template(binaries: &PostgresBinaries, data: &Path) -> Result<String> {
    let uid = user_id()?;
    // The number counts changes to what `create` makes.
    let wanted = place::tools_dir()?.join(format!("pg-template-1-{}-{uid}", binaries.version));
    let template = place::reachable_by(uid, &wanted);
    let password_file = template.with_extension("secret");
    let _lock = Lock::wait(&wanted.with_extension("lock"))?;
    if !(template.is_dir() && password_file.is_file()) {
        let unfinished = template.with_extension("new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        let password = secret::random()?;
        create(binaries, &unfinished, &password)?;
        fs::write(&password_file, &password)?;
        fs::set_permissions(&password_file, Permissions::from_mode(0o600))?;
        fs::rename(&unfinished, &template)?;
    }
    debug_assert_eq!(fs::metadata(&template)?.uid(), uid);
    copy_dir(&template, data)?;
    Ok(fs::read_to_string(&password_file)?)
}
