use anyhow::Result;
use clap::Subcommand;
use schemas::ids::AccountId;
use schemas::message::{AddCredits, AdjustCredits, CreditsReply, command_name};
use schemas::money::Nanocredits;
use serde_json::json;

use super::ask::Asking;

#[derive(Subcommand)]
pub(super) enum CreditsCommand {
    /// Adds credits that were bought or given.
    Add {
        /// Whose.
        #[arg(long)]
        account: AccountId,
        /// How many: a decimal number, more than zero.
        #[arg(long)]
        credits: Nanocredits,
        /// The same reference (a payment's id) adds nothing twice.
        #[arg(long)]
        reference: String,
        #[command(flatten)]
        asking: Asking,
    },
    /// Gives or takes credits as a correction; say why with --why.
    Adjust {
        /// Whose.
        #[arg(long)]
        account: AccountId,
        /// How many: more than zero gives, less than zero takes.
        #[arg(long, allow_hyphen_values = true)]
        credits: Nanocredits,
        /// The same reference adjusts nothing twice.
        #[arg(long)]
        reference: String,
        #[command(flatten)]
        asking: Asking,
    },
}

pub(super) async fn run(command: CreditsCommand) -> Result<i32> {
    let (asking, reply): (Asking, CreditsReply) = match command {
        CreditsCommand::Add { account, credits, reference, asking } => {
            let (by, why) = (asking.by.clone(), asking.why.clone());
            let ask = AddCredits { account_id: account, amount: credits, reference, by, why };
            let reply = asking.ask(command_name::ADD_CREDITS, &ask).await?;
            (asking, reply)
        }
        CreditsCommand::Adjust { account, credits, reference, asking } => {
            let (by, why) = (asking.by.clone(), asking.why.clone());
            let ask = AdjustCredits { account_id: account, amount: credits, reference, by, why };
            let reply = asking.ask(command_name::ADJUST_CREDITS, &ask).await?;
            (asking, reply)
        }
    };
    let repeated = if reply.repeated { " (done before under this reference)" } else { "" };
    let text = format!(
        "balance    {}\nheld       {}\navailable  {}\nposition   {}{repeated}",
        reply.balance, reply.held, reply.available, reply.position
    );
    asking.show(&json!(reply), &text)
}
