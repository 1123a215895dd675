use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use projector::{database, grant};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::print_json;

#[derive(Debug, Args)]
pub(super) struct GrantAccount {
    /// The account.
    account: Uuid,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct RevokeAccount {
    /// The account.
    account: Uuid,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

impl GrantAccount {
    pub(super) async fn run(self, options: &PgConnectOptions) -> Result<ExitCode> {
        let mut connection = database::connect(options).await.context("cannot reach the database")?;
        let granted = grant::grant(&mut connection, self.account).await?;
        if self.json {
            print_json(&granted)?;
        } else {
            println!("role      {}", granted.role);
            println!("password  {}", granted.password);
            println!(
                "It reads the usage and the balance of this account, and nothing else. The password is not shown again."
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl RevokeAccount {
    pub(super) async fn run(self, options: &PgConnectOptions) -> Result<ExitCode> {
        let mut connection = database::connect(options).await.context("cannot reach the database")?;
        let revoked = grant::revoke(&mut connection, self.account).await?;
        match (self.json, revoked) {
            (true, _) => print_json(&json!({ "account_id": self.account, "revoked": revoked }))?,
            (false, true) => println!("The role of account {} is gone.", self.account),
            (false, false) => println!("Account {} had no role.", self.account),
        }
        Ok(ExitCode::SUCCESS)
    }
}
