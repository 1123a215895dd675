use anyhow::Result;
use clap::Subcommand;
use schemas::ids::AccountId;
use schemas::message::{AccountOpenedReply, OpenAccount, SetTier, TierReply, command_name};
use schemas::tier::Tier;
use serde_json::json;

use super::ask::Asking;

#[derive(Subcommand)]
pub(super) enum AccountCommand {
    /// Opens an account and its sandbox account.
    Open {
        /// free, starter, pro, team or bench.
        #[arg(long, default_value = "free")]
        tier: Tier,
        /// The same reference opens no second account, and answers with the first.
        #[arg(long)]
        reference: Option<String>,
        #[command(flatten)]
        asking: Asking,
    },
    /// Changes an account's tier.
    Tier {
        /// Whose.
        #[arg(long)]
        account: AccountId,
        /// free, starter, pro, team or bench.
        #[arg(long)]
        tier: Tier,
        #[command(flatten)]
        asking: Asking,
    },
}

pub(super) async fn run(command: AccountCommand) -> Result<i32> {
    match command {
        AccountCommand::Open { tier, reference, asking } => {
            let ask = OpenAccount { tier, reference, by: asking.by.clone(), why: asking.why.clone() };
            let reply: AccountOpenedReply = asking.ask(command_name::OPEN_ACCOUNT, &ask).await?;
            let text = format!(
                "account  {}\nsandbox  {}\ntier     {}",
                reply.account_id, reply.sandbox_account_id, reply.tier
            );
            asking.show(&json!(reply), &text)
        }
        AccountCommand::Tier { account, tier, asking } => {
            let ask = SetTier { account_id: account, tier, by: asking.by.clone(), why: asking.why.clone() };
            let reply: TierReply = asking.ask(command_name::SET_TIER, &ask).await?;
            asking.show(&json!(reply), &format!("account {} is on tier {}", reply.account_id, reply.tier))
        }
    }
}
