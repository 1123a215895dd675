use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use projector::{database, profile};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::print_json;

#[derive(Debug, Subcommand)]
pub(super) enum Profile {
    /// Sets what is given and leaves the rest as it is.
    Set(Set),
    /// Shows what is kept.
    Show(Whose),
    /// Forgets a person. Nothing else in the system knows the name or the address.
    Erase(Whose),
}

#[derive(Debug, Args)]
pub(super) struct Set {
    #[command(flatten)]
    whose: Whose,
    /// Address.
    #[arg(long, required_unless_present = "name")]
    email: Option<String>,
    /// Name.
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Whose {
    /// The account.
    #[arg(long)]
    account: Uuid,
    /// One JSON object.
    #[arg(long)]
    json: bool,
}

impl Profile {
    pub(super) async fn run(self, options: &PgConnectOptions) -> Result<ExitCode> {
        let mut connection = database::connect(options).await.context("cannot reach the database")?;
        match self {
            Self::Set(set) => {
                let (email, name) = (set.email.as_deref(), set.name.as_deref());
                let profile = profile::set(&mut connection, set.whose.account, email, name).await?;
                print(&profile, set.whose.json)?;
            }
            Self::Show(whose) => match profile::show(&mut connection, whose.account).await? {
                Some(profile) => print(&profile, whose.json)?,
                None => anyhow::bail!("account {} has no profile", whose.account),
            },
            Self::Erase(whose) => {
                let erased = profile::erase(&mut connection, whose.account).await?;
                match (whose.json, erased) {
                    (true, _) => print_json(&json!({ "account_id": whose.account, "erased": erased }))?,
                    (false, true) => println!("The profile of {} is erased.", whose.account),
                    (false, false) => println!("Account {} had no profile.", whose.account),
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(profile: &profile::Profile, json: bool) -> Result<()> {
    if json {
        return print_json(profile);
    }
    println!("account  {}", profile.account_id);
    println!("email    {}", profile.email.as_deref().unwrap_or("-"));
    println!("name     {}", profile.name.as_deref().unwrap_or("-"));
    println!("changed  {}", profile.updated_at.format("%Y-%m-%d %H:%M:%S UTC"));
    Ok(())
}
