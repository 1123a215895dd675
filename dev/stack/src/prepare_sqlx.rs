//! `.sqlx`: what the database says about the queries in the code, committed so that a clone compiles without one.
//!
//! sqlx's macros write it themselves when they reach a database and `SQLX_OFFLINE_DIR` names a folder. They run only
//! when their crate is compiled, so those crates are cleaned first, in a target folder of their own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::place;
use crate::servers::Postgres;

/// The crates with queries.
const CRATES: [&str; 3] = ["ledger", "projector", "gateway"];

/// Writes `.sqlx`, or only compares it (`check`). With `packages`, only theirs are written and no other is removed: for
/// work on one crate while another does not compile.
///
/// # Errors
/// When a migration fails, a query does not fit the database, or (`check`) something differs; with what.
pub fn prepare(check: bool, packages: &[String]) -> Result<()> {
    let crates: Vec<&str> =
        if packages.is_empty() { CRATES.to_vec() } else { packages.iter().map(String::as_str).collect() };
    let root = place::checkout();
    let postgres = Postgres::start()?;
    migrate(&postgres, &root.join("migrations"))?;
    let fresh = tempfile::tempdir().context("cannot create a temporary folder")?;
    compile(&root, &crates, &postgres.url(), fresh.path())?;
    let (fresh, committed) = (read(fresh.path())?, read(&root.join(".sqlx"))?);
    if !check {
        return write(&root.join(".sqlx"), &fresh, packages.is_empty().then_some(&committed));
    }
    let names = fresh.keys().chain(committed.keys().filter(|name| !fresh.contains_key(*name)));
    let differing: Vec<&str> =
        names.filter(|name| fresh.get(*name) != committed.get(*name)).map(String::as_str).collect();
    if differing.is_empty() {
        println!("{} queries in .sqlx are up to date", fresh.len());
        return Ok(());
    }
    bail!(".sqlx is not up to date, run `make prepare-sqlx` and commit it: {}", differing.join(", "))
}

/// Runs the migrations in their order, as the programs do at start.
fn migrate(postgres: &Postgres, dir: &Path) -> Result<()> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    files.iter().try_for_each(|file| postgres.sql_file(file))
}

fn compile(root: &Path, crates: &[&str], database_url: &str, fresh: &Path) -> Result<()> {
    let target = place::tools_dir()?.join("sqlx-target");
    let cargo = |subcommand: &str| {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.arg(subcommand).current_dir(root).env("CARGO_TARGET_DIR", &target);
        for name in crates {
            command.args(["-p", name]);
        }
        command
    };
    let mut clean = cargo("clean");
    ensure!(clean.arg("--quiet").status()?.success(), "cargo clean failed");
    let mut check = cargo("check");
    check.args(["--quiet", "--all-targets"]).env("DATABASE_URL", database_url);
    check.env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", fresh);
    ensure!(check.status()?.success(), "the code does not fit the database: see above");
    Ok(())
}

/// The files of a `.sqlx` folder by name; none when there is no such folder.
fn read(dir: &Path) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let Ok(entries) = fs::read_dir(dir) else { return Ok(files) };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("query-") && name.ends_with(".json") {
            files.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(files)
}

fn write(dir: &Path, fresh: &BTreeMap<String, String>, outdated: Option<&BTreeMap<String, String>>) -> Result<()> {
    fs::create_dir_all(dir)?;
    for name in outdated.into_iter().flat_map(BTreeMap::keys).filter(|name| !fresh.contains_key(*name)) {
        fs::remove_file(dir.join(name))?;
    }
    for (name, text) in fresh {
        fs::write(dir.join(name), text)?;
    }
    println!("{} queries in .sqlx", fresh.len());
    Ok(())
}
