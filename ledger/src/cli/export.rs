use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use schemas::merkle::note::VerifierKey;
use sqlx::ConnectOptions;

use super::progress::Bar;
use crate::config::DatabaseConfig;
use crate::database;
use crate::export::{self, Checked, Folder, SEGMENT};

#[derive(Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    database: DatabaseConfig,
    /// The folder; one that is there is gone on with.
    folder: PathBuf,
    /// Events in a full segment, a multiple of 256.
    #[arg(long, default_value_t = SEGMENT)]
    segment: u64,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct VerifyExportArgs {
    /// The folder.
    folder: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    database: DatabaseConfig,
    /// The folder.
    folder: PathBuf,
    #[command(flatten)]
    keys: Keys,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Keys {
    /// Who may have signed: a verifier key; may be given more than once. Without one nobody's signature is believed.
    #[arg(long = "key", env = "LAYERS_CHECKPOINT_VERIFIER_KEY", value_delimiter = ',')]
    keys: Vec<VerifierKey>,
}

pub(super) async fn export(args: ExportArgs) -> Result<i32> {
    let mut db = database::options(&args.database.database_url)?.connect().await.context("cannot reach PostgreSQL")?;
    let mut bar = Bar::new();
    let exported = export::export(&mut db, &Folder::new(&args.folder), args.segment, |done, of| bar.at(done, of)).await;
    bar.end();
    let exported = exported?;
    if args.json {
        println!("{}", serde_json::to_string(&exported)?);
        return Ok(0);
    }
    println!("position      {} in {} segments ({} kept)", exported.position, exported.segments, exported.kept);
    println!("tree          {}", exported.root);
    println!("signed        to position {}", exported.signed);
    println!("exported to {}", args.folder.display());
    Ok(0)
}

pub(super) fn verify_export(args: VerifyExportArgs) -> Result<i32> {
    let mut bar = Bar::new();
    let checked = export::check(&Folder::new(&args.folder), &args.keys.keys, |done, of| bar.at(done, of));
    bar.end();
    tell(&checked?, args.json, "verified: the folder is what was signed")?;
    Ok(0)
}

pub(super) async fn import(args: ImportArgs) -> Result<i32> {
    let options = database::options(&args.database.database_url)?;
    database::migrate(&options).await?;
    let mut db = options.connect().await.context("cannot reach PostgreSQL")?;
    let mut bar = Bar::new();
    let folder = Folder::new(&args.folder);
    let checked = export::import(&mut db, &folder, &args.keys.keys, |done, of| bar.at(done, of)).await;
    bar.end();
    tell(&checked?, args.json, "imported; `projector rebuild` makes the read models")?;
    Ok(0)
}

fn tell(checked: &Checked, json: bool, done: &str) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(checked)?);
        return Ok(());
    }
    println!("position      {} in {} segments", checked.position, checked.segments);
    println!("tree          {}", checked.root);
    match checked.signed {
        Some(signed) => {
            println!("checkpoints   {}; signed to position {signed} by a key that was given", checked.checkpoints)
        }
        None => println!("checkpoints   {} (no key was given: signatures are not checked)", checked.checkpoints),
    }
    println!("{done}");
    Ok(())
}
