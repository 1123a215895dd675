use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};

/// PostgreSQL ends the session of a ledger that has not spoken for so long, so that a standby can take over from one
/// that is paused. What the paused one writes when it wakes fails by its epoch.
const IDLE: &str = "3s";
/// So often it speaks.
const SPEAK: Duration = Duration::from_secs(1);
/// A standby looks this often.
const STANDBY: Duration = Duration::from_millis(500);
/// Key of the lock that the active ledger holds: "layers" in ASCII.
const LOCK: i64 = 0x6c61_7965_7273;

/// How to connect, from a URL.
pub fn options(url: &str) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url).context("DATABASE_URL is not a PostgreSQL URL")?;
    Ok(options.application_name("ledger"))
}

/// A small pool for reading.
pub fn reading_pool(options: &PgConnectOptions) -> PgPool {
    PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(5)).connect_lazy_with(options.clone())
}

/// Brings the database to the newest form. Safe when several programs start together: one of them does it.
pub async fn migrate(options: &PgConnectOptions) -> Result<()> {
    let mut connection = connect(options).await;
    sqlx::migrate!("../migrations").run(&mut connection).await.context("the database could not be migrated")?;
    Ok(())
}

async fn connect(options: &PgConnectOptions) -> PgConnection {
    loop {
        match options.connect().await {
            Ok(connection) => return connection,
            Err(error) => tracing::warn!(%error, "waiting for PostgreSQL"),
        }
        tokio::time::sleep(STANDBY).await;
    }
}

/// The right to be the active ledger, for as long as its connection lives.
pub struct Active(PgConnection);

impl Active {
    /// Stands by until no other ledger is active.
    pub async fn wait(options: &PgConnectOptions) -> Result<Self> {
        let mut told = false;
        loop {
            let mut connection = connect(options).await;
            sqlx::query("select set_config('idle_session_timeout', $1, false)")
                .bind(IDLE)
                .execute(&mut connection)
                .await?;
            let locked =
                sqlx::query_scalar!("select pg_try_advisory_lock($1)", LOCK).fetch_one(&mut connection).await?;
            if locked == Some(true) {
                return Ok(Self(connection));
            }
            if !told {
                tracing::info!("another ledger is active; standing by");
                told = true;
            }
            tokio::time::sleep(STANDBY).await;
        }
    }

    /// Keeps the right; ends with an error when another ledger may have it. While PostgreSQL is away nobody has it.
    pub async fn keep(mut self, options: PgConnectOptions) -> Result<()> {
        loop {
            tokio::time::sleep(SPEAK).await;
            if let Err(error) = self.0.ping().await {
                tracing::warn!(%error, "the lock's connection is gone; taking it again");
                self = self.again(&options).await?;
            }
        }
    }

    async fn again(self, options: &PgConnectOptions) -> Result<Self> {
        drop(self);
        let mut connection = connect(options).await;
        sqlx::query("select set_config('idle_session_timeout', $1, false)").bind(IDLE).execute(&mut connection).await?;
        let locked = sqlx::query_scalar!("select pg_try_advisory_lock($1)", LOCK).fetch_one(&mut connection).await?;
        if locked != Some(true) {
            bail!("another ledger has taken over");
        }
        Ok(Self(connection))
    }
}
