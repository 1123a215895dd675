use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use schemas::merkle::note::VerifierKey;
use schemas::receipt::{Checked, Receipt, check};

#[derive(Args)]
pub(super) struct VerifyReceiptArgs {
    /// The receipt, as the gateway answered it; `-` for standard input.
    file: PathBuf,
    /// The log's verifier key, as its operator has published it. Several where it was changed.
    #[arg(long = "key", env = "LAYERS_CHECKPOINT_VERIFIER_KEY", required = true)]
    keys: Vec<VerifierKey>,
    /// The log's name in its checkpoints [default: the key's name].
    #[arg(long)]
    origin: Option<String>,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn verify(args: &VerifyReceiptArgs) -> Result<i32> {
    let shown = args.file.display();
    let mut text = String::new();
    match args.file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?,
        _ => std::fs::File::open(&args.file)
            .and_then(|mut file| file.read_to_string(&mut text))
            .with_context(|| format!("cannot read {shown}"))?,
    };
    let receipt: Receipt = serde_json::from_str(&text).with_context(|| format!("{shown} is no receipt"))?;
    let checked = check(&receipt, &args.keys, args.origin.as_deref());
    if args.json {
        println!("{}", serde_json::to_string(&checked)?);
    } else {
        print!("{}", as_text(&checked));
    }
    Ok(i32::from(!checked.ok))
}

fn as_text(checked: &Checked) -> String {
    let mut text = format!("request     {}\naccount     {}\n", checked.request_id, checked.account_id);
    if let (Some(origin), Some(size), Some(root), Some(key)) =
        (&checked.origin, checked.size, checked.root, &checked.signed_by)
    {
        text += &format!("checkpoint  {origin} at position {size}, root {root}\nsigned by   {key}\n");
    }
    for event in &checked.events {
        text += &format!("{:>10}  {:24} {}\n", event.position, event.r#type, event.time.to_rfc3339());
    }
    let amount = |name: &str, amount: Option<schemas::money::Nanocredits>| {
        amount.map_or(String::new(), |amount| format!("{name}{amount} credits\n"))
    };
    text += &amount("hold        ", checked.sum.hold);
    let version = checked.price_version.map_or(String::new(), |version| format!(" by price book {version}"));
    if let Some(rated) = checked.sum.rated {
        text += &format!("usage       {rated} credits{version}\n");
    }
    text += &amount("charged     ", checked.sum.charged);
    if checked.sum.adjusted != schemas::money::Nanocredits::ZERO {
        text += &format!("adjusted    {} credits\n", checked.sum.adjusted);
    }
    for problem in &checked.problems {
        text += &format!("WRONG       {problem}\n");
    }
    text += match (checked.ok, checked.sum.complete) {
        (true, true) => "verified: these events are in the signed log, and the charge is what they add up to\n",
        (true, false) => "verified so far: these events are in the signed log, and the request has not ended\n",
        (false, _) => "NOT verified\n",
    };
    text
}
