use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use clap::Subcommand;
use schemas::api_key::Secret;
use schemas::ids::{AccountId, ApiKeyId};
use schemas::key_limits::{Cap, Period, Restrictions};
use schemas::message::{
    AccountRef, AccountReply, IssueKey, KeyIssuedReply, KeyRef, KeyRevokedReply, RevokeKey, command_name,
};
use schemas::money::Nanocredits;
use serde_json::json;

use super::ask::Asking;

#[derive(Subcommand)]
pub(super) enum KeyCommand {
    /// Issues a key and shows its secret, once.
    Issue {
        /// Whose.
        #[arg(long)]
        account: AccountId,
        /// A test key: spends test credits of the account's sandbox.
        #[arg(long)]
        sandbox: bool,
        /// A label; never a person's name, since it is kept for ever.
        #[arg(long, default_value = "default")]
        name: String,
        /// From when on it is refused (RFC 3339).
        #[arg(long)]
        expires_at: Option<DateTime<Utc>>,
        /// A model that it may ask, or all of a provider as `anthropic/*`; may be given again. Without it: every model.
        #[arg(long)]
        model: Vec<String>,
        /// The most that it may spend in a period, credits. Without it: what its account has.
        #[arg(long)]
        cap: Option<Nanocredits>,
        /// Of the cap: day, month or total.
        #[arg(long, default_value = "month")]
        cap_period: Period,
        #[command(flatten)]
        asking: Asking,
    },
    /// Revokes a key; returns when every gateway refuses it.
    Revoke {
        /// The key's id, or the key itself.
        key: String,
        #[command(flatten)]
        asking: Asking,
    },
}

pub(super) async fn run(command: KeyCommand) -> Result<i32> {
    match command {
        KeyCommand::Issue { account, sandbox, name, expires_at, model, cap, cap_period, asking } => {
            let found: AccountReply = asking.ask(command_name::ACCOUNT, &AccountRef { account_id: account }).await?;
            let account_id = if found.livemode == sandbox { found.counterpart } else { found.account_id };
            let secret = Secret::from_random(!sandbox, &random()?);
            let ask = IssueKey {
                account_id,
                key_hash: secret.hash(),
                key_prefix: secret.prefix().to_owned(),
                name,
                expires_at,
                restrictions: Restrictions {
                    models: (!model.is_empty()).then_some(model),
                    cap: cap.map(|credits| Cap { credits, period: cap_period }),
                },
                by: asking.by.clone(),
                why: asking.why.clone(),
            };
            let reply: KeyIssuedReply = asking.ask(command_name::ISSUE_KEY, &ask).await?;
            let answer = json!({
                "key": secret.reveal(), "key_id": reply.api_key_id, "account_id": reply.account_id,
                "position": reply.position, "sandbox": sandbox,
            });
            let text = format!(
                "key      {}\nid       {}\naccount  {}\n\nThe key is shown this once: only its hash is kept.",
                secret.reveal(),
                reply.api_key_id,
                reply.account_id
            );
            asking.show(&answer, &text)
        }
        KeyCommand::Revoke { key, asking } => {
            let key = match Secret::parse(&key) {
                Some(secret) => KeyRef::Hash(secret.hash()),
                None => KeyRef::Id(key.parse::<ApiKeyId>().context("neither a key nor a key's id")?),
            };
            let ask = RevokeKey { key, by: asking.by.clone(), why: asking.why.clone() };
            let reply: KeyRevokedReply = asking.ask(command_name::REVOKE_KEY, &ask).await?;
            asking.show(&json!(reply), &format!("key {} is refused on every gateway", reply.api_key_id))
        }
    }
}

fn random() -> Result<[u8; 32]> {
    use std::io::Read;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("no random bytes")?;
    Ok(bytes)
}
