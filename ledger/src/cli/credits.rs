use anyhow::Result;
use clap::Subcommand;
use schemas::ids::{AccountId, RequestId};
use schemas::message::{AddCredits, AdjustCredits, CreditsAdjustedReply, CreditsReply, command_name};
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
        /// Takes what the account has, where it has less; the rest is the platform's loss.
        #[arg(long)]
        take: bool,
        /// The request that is corrected.
        #[arg(long)]
        request: Option<RequestId>,
        #[command(flatten)]
        asking: Asking,
    },
}

pub(super) async fn run(command: CreditsCommand) -> Result<i32> {
    match command {
        CreditsCommand::Add { account, credits, reference, asking } => {
            let (by, why) = (asking.by.clone(), asking.why.clone());
            let ask = AddCredits { account_id: account, amount: credits, reference, by, why };
            let reply: CreditsReply = asking.ask(command_name::ADD_CREDITS, &ask).await?;
            asking.show(&json!(reply), &text(&reply))
        }
        CreditsCommand::Adjust { account, credits, reference, take, request, asking } => {
            let (by, why) = (asking.by.clone(), asking.why.clone());
            let ask = AdjustCredits {
                account_id: account,
                amount: credits,
                loss: Nanocredits::ZERO,
                take_what_there_is: take,
                request_id: request,
                reference,
                by,
                why,
            };
            let reply: CreditsAdjustedReply = asking.ask(command_name::ADJUST_CREDITS, &ask).await?;
            let lost = match reply.loss {
                Nanocredits::ZERO => String::new(),
                loss => format!("\nlost       {loss}"),
            };
            asking.show(&json!(reply), &(text(&reply.credits) + &lost))
        }
    }
}

fn text(reply: &CreditsReply) -> String {
    let repeated = if reply.repeated { " (done before under this reference)" } else { "" };
    format!(
        "balance    {}\nheld       {}\navailable  {}\nposition   {}{repeated}",
        reply.balance, reply.held, reply.available, reply.position
    )
}
