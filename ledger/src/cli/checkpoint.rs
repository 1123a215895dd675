use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use schemas::message::{AskCheckpoint, CheckpointReply, command_name};
use serde_json::json;

use super::ask::Asking;
use crate::checkpoint::generate;

#[derive(Subcommand)]
pub(super) enum CheckpointCommand {
    /// Makes a key for signing checkpoints, and shows it: the secret for the ledger, the verifier key for everybody.
    Keygen(KeygenArgs),
    /// Has the log signed as it is now, and shows the checkpoint.
    Show {
        #[command(flatten)]
        asking: Asking,
    },
}

#[derive(Args)]
pub(super) struct KeygenArgs {
    /// The log's name: a host and path of yours without a scheme, such as example.com/layers; it stands in every checkpoint.
    #[arg(long)]
    name: String,
    /// Writes the secret to this new file, which only its owner can read, instead of showing it.
    #[arg(long)]
    out: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: CheckpointCommand) -> Result<i32> {
    match command {
        CheckpointCommand::Keygen(args) => keygen(&args),
        CheckpointCommand::Show { asking } => {
            let ask = AskCheckpoint { position: None };
            let reply: CheckpointReply = asking.ask(command_name::CHECKPOINT, &ask).await?;
            let text = reply.note.trim_end().to_owned();
            asking.show(&json!(reply), &text)
        }
    }
}

fn keygen(args: &KeygenArgs) -> Result<i32> {
    let key = generate(&args.name)?;
    let (secret, verifier) = (key.reveal(), key.verifier().to_string());
    if let Some(file) = &args.out {
        let mut new = std::fs::OpenOptions::new();
        let made = new.write(true).create_new(true).mode(0o600).open(file);
        let written = made.and_then(|mut made| std::io::Write::write_all(&mut made, format!("{secret}\n").as_bytes()));
        written.with_context(|| format!("cannot write {}", file.display()))?;
    }
    let shown = args.out.is_none().then_some(&secret);
    if args.json {
        println!("{}", json!({ "key": shown, "verifier_key": verifier }));
    } else {
        match (shown, &args.out) {
            (Some(secret), _) => println!("key       {secret}"),
            (None, Some(file)) => println!("key       in {}", file.display()),
            (None, None) => {}
        }
        println!(
            "verifier  {verifier}\n\nThe key goes into LAYERS_CHECKPOINT_KEY (or a file: LAYERS_CHECKPOINT_KEY_FILE) of the ledger and nowhere else."
        );
        println!("Publish the verifier key: receipts and checkpoints are checked with it.");
    }
    Ok(0)
}
