use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use schemas::merkle::note::VerifierKey;

use super::progress::Bar;
use crate::config::DatabaseConfig;
use crate::database;
use crate::verify::{Asked, Report};

#[derive(Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    database: DatabaseConfig,
    /// Who may have signed the checkpoints: a verifier key; may be given more than once. Without one the checkpoints' roots are
    /// compared with the tree, and nobody's signature is believed.
    #[arg(long = "key", env = "LAYERS_CHECKPOINT_VERIFIER_KEY", value_delimiter = ',')]
    keys: Vec<VerifierKey>,
    /// Goes on from where this file says that everything was verified, and writes it when all is well. Keep it where nobody who
    /// can change the database can change it.
    #[arg(long)]
    state: Option<PathBuf>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) async fn verify(args: VerifyArgs) -> Result<i32> {
    let options = database::options(&args.database.database_url)?;
    let mut bar = Bar::new();
    let asked = Asked { keys: args.keys, state: args.state };
    let verified =
        crate::verify::verify(&options, &asked, &mut |progress| bar.at(progress.position, progress.until)).await;
    bar.end();
    let report = verified?;
    match args.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => tell(&report),
    }
    Ok(i32::from(!report.ok))
}

fn tell(report: &Report) {
    let from = match report.after {
        0 => "from the first".to_owned(),
        after => format!("after {after}, which was verified before"),
    };
    println!("events        {} ({from}, to position {})", report.events, report.position);
    if let Some(root) = report.root {
        println!("tree          {root}");
    }
    match report.signatures {
        Some(believed) => {
            println!("checkpoints   {} ({believed} signatures by a key that was given)", report.checkpoints)
        }
        None => println!("checkpoints   {} (no key was given: signatures are not checked)", report.checkpoints),
    }
    match report.read_models_position {
        Some(position) => println!("read models   at position {position}"),
        None => println!("read models   none"),
    }
    println!("accounts      {}", report.accounts);
    println!("requests      {} ({} holds open)", report.requests, report.open_holds);
    println!("quarantined   {}", report.quarantined);
    for (note, count) in &report.notes {
        println!("noted         {count} × {note}");
    }
    println!("time          {:.1} s ({:.0} events a second)", report.seconds, report.events as f64 / report.seconds);
    for difference in &report.differences {
        let at = difference.position.map_or(String::new(), |position| format!(" at {position}"));
        println!("DIFFERS       {}{at}: {}", difference.of, difference.what);
    }
    let listed = report.differences.len() as u64;
    if report.difference_count > listed {
        println!("              and {} more", report.difference_count - listed);
    }
    match (report.ok, report.differences.first()) {
        (true, _) => println!("verified: everything derived is what the events add up to"),
        (false, first) => {
            let first = first.and_then(|difference| difference.position);
            let first = first.map_or(String::new(), |position| format!(", the first at position {position}"));
            println!("NOT verified: {} differences{first}", report.difference_count);
        }
    }
}
