use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Subcommand;
use schemas::message::{PriceBookReply, PublishPriceBook, command_name};
use schemas::price_book::DEFAULT_MARGIN_BPS;
use serde_json::json;

use super::ask::Asking;

#[derive(Subcommand)]
pub(super) enum PricesCommand {
    /// Shows the prices in force.
    Show {
        #[command(flatten)]
        asking: Asking,
    },
    /// Publishes a catalogue in the form of schemas/models.json as the next version.
    Publish {
        /// The catalogue.
        file: PathBuf,
        /// Our share on top where the model has none of its own, in hundredths of a percent.
        #[arg(long, default_value_t = DEFAULT_MARGIN_BPS)]
        margin_bps: u32,
        #[command(flatten)]
        asking: Asking,
    },
}

pub(super) async fn run(command: PricesCommand) -> Result<i32> {
    let (asking, reply): (Asking, PriceBookReply) = match command {
        PricesCommand::Show { asking } => {
            let reply = asking.ask(command_name::PRICE_BOOK, &()).await?;
            (asking, reply)
        }
        PricesCommand::Publish { file, margin_bps, asking } => {
            let catalogue =
                std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let (by, why) = (asking.by.clone(), asking.why.clone());
            let ask = PublishPriceBook { catalogue, default_margin_bps: margin_bps, by, why };
            let reply = asking.ask(command_name::PUBLISH_PRICE_BOOK, &ask).await?;
            (asking, reply)
        }
    };
    let mut text = format!("version {} from position {}\n", reply.book.version, reply.position);
    for model in reply.book.models.values() {
        let price =
            |price: Option<schemas::money::PerMillion>| price.map_or_else(|| "-".to_owned(), |price| price.to_string());
        let (input, output) = (price(model.prices.input), price(model.prices.output));
        text.push_str(&format!("{:44} in {input:>8}  out {output:>8}  US$ a million tokens\n", model.id));
    }
    asking.show(&json!(reply), text.trim_end())
}
