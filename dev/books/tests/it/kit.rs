//! A server with made-up, projected books, and copies of them to be spoiled.

use std::path::PathBuf;
use std::process::Command;

use books::make::{Maker, verifier};
use ledger::verify::{Asked, Report, verify};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgConnection, Row};
use stack::servers::Postgres;

pub(crate) struct Books {
    pub(crate) postgres: Postgres,
    pub(crate) maker: Maker,
    pub(crate) last: u64,
}

impl Books {
    /// A log of about so many events, with its read models.
    pub(crate) async fn made(events: u64) -> Self {
        Self::made_by(7, events).await
    }

    /// The same by another seed.
    pub(crate) async fn made_by(seed: u64, events: u64) -> Self {
        let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap();
        let options = ledger::database::options(&postgres.url()).unwrap();
        ledger::database::migrate(&options).await.unwrap();
        let mut books = Self { postgres, maker: Maker::new(seed, events).unwrap(), last: 0 };
        books.go_on(events).await;
        books
    }

    /// The log grows to so many events, and the read models follow.
    pub(crate) async fn go_on(&mut self, events: u64) {
        let mut db = self.options().connect().await.unwrap();
        self.last = self.maker.make(&mut db, events, |_| {}).await.unwrap();
        self.project("layers");
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        self.database("layers")
    }

    pub(crate) fn database(&self, name: &str) -> PgConnectOptions {
        ledger::database::options(&self.postgres.url()).unwrap().database(name)
    }

    pub(crate) fn project(&self, database: &str) {
        project(&format!("{}/{database}", self.postgres.url().trim_end_matches("/layers")));
    }

    /// A copy under another name.
    pub(crate) async fn copy(&self, name: &str) -> PgConnectOptions {
        let mut db = self.database("postgres").connect().await.unwrap();
        // Sessions that were closed a moment ago may still be there.
        while db.execute(AssertSqlSafe(format!("create database {name} template layers"))).await.is_err() {
            let ended = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = 'layers'";
            db.fetch_all(ended).await.unwrap();
        }
        self.database(name)
    }

    pub(crate) async fn drop(&self, name: &str) {
        let mut db = self.database("postgres").connect().await.unwrap();
        db.execute(AssertSqlSafe(format!("drop database {name} with (force)"))).await.unwrap();
    }
}

/// Builds the read models of a log.
pub(crate) fn project(url: &str) {
    let program = stack::place::program("projector").unwrap();
    let done = Command::new(program).args(["rebuild", "--json"]).env("DATABASE_URL", url).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// As the database's owner, whom no trigger stops.
pub(crate) async fn owner(options: &PgConnectOptions) -> PgConnection {
    let mut db = options.connect().await.unwrap();
    db.execute("set session_replication_role = replica").await.unwrap();
    db
}

pub(crate) async fn change(db: &mut PgConnection, sql: &str) {
    let done = db.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
    assert!(done.rows_affected() > 0, "nothing was changed: {sql}");
}

pub(crate) async fn number(db: &mut PgConnection, sql: &str) -> u64 {
    let row = db.fetch_one(AssertSqlSafe(sql.to_owned())).await.unwrap();
    u64::try_from(row.get::<i64, _>(0)).unwrap()
}

/// Verified from the start, with the key.
pub(crate) async fn verified(options: &PgConnectOptions, state: Option<PathBuf>) -> Report {
    let asked = Asked { keys: vec![verifier().unwrap()], state };
    verify(options, &asked, &mut |_| {}).await.unwrap()
}
