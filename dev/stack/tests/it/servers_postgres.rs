//! PostgreSQL: killed and brought back with its data; two side by side; quick to start; other roles.

use std::time::{Duration, Instant};

use anyhow::Result;
use sqlx::{Connection, PgConnection};
use stack::servers::{Postgres, PostgresOptions};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_with_its_data() -> Result<()> {
    let server = Postgres::start_with(PostgresOptions { fsync: true, ..Default::default() })?;
    let url = server.url();
    let mut session = PgConnection::connect(&url).await?;
    sqlx::raw_sql("create table t (x int); insert into t values (1), (2)").execute(&mut session).await?;
    server.kill();
    assert_eq!(server.pid(), None);
    assert!(sqlx::raw_sql("select 1").execute(&mut session).await.is_err(), "its sessions died with it");
    server.restart()?;
    assert_eq!(server.url(), url);
    let count: i64 =
        sqlx::query_scalar("select count(*) from t").fetch_one(&mut PgConnection::connect(&url).await?).await?;
    assert_eq!(count, 2);
    server.stop()?;
    server.restart()
}

#[test]
fn two_servers_run_side_by_side_and_start_quickly() -> Result<()> {
    let one = Postgres::start()?;
    let begin = Instant::now();
    let other = Postgres::start()?;
    // Generous: other tests run beside this one. Alone it is a few tenths of a second.
    assert!(begin.elapsed() < Duration::from_secs(5), "the template is copied, initdb does not run again");
    one.sql("create table t (x int)")?;
    other.sql("create table t (x int)")?;
    assert_eq!(other.sql("select count(*) from t")?.trim(), "0");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_come_in_with_their_password_only() -> Result<()> {
    let server = Postgres::start()?;
    server.sql("create role layers_gateway login; alter role layers_gateway password 'right'")?;
    assert!(PgConnection::connect(&server.url_as("layers_gateway", "wrong")).await.is_err());
    PgConnection::connect(&server.url_as("layers_gateway", "right")).await?;
    Ok(())
}

#[test]
fn a_kept_folder_keeps_its_data_between_runs() -> Result<()> {
    let dir = stack::place::RunDir::temporary("kept")?;
    let options = || PostgresOptions { kept: Some((dir.path().join("pg"), "secret".to_owned())), ..Default::default() };
    let server = Postgres::start_with(options())?;
    server.sql("create table t as select 7 as x")?;
    server.stop()?;
    drop(server);
    assert_eq!(Postgres::start_with(options())?.sql("select x from t")?.trim(), "7");
    Ok(())
}
