//! A role that sees one account: the same names, its own rows, and no way to those of others.

use std::process::Command;

use projector::grant::{grant, revoke};
use schemas::tier::Tier;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use uuid::Uuid;

use crate::kit::{Story, World, credits};

const VIEWS: [&str; 8] = [
    "credit_balances",
    "usage_logs",
    "usage_daily",
    "usage_hourly",
    "usage_monthly",
    "credit_transactions",
    "credit_history",
    "api_keys",
];

async fn count(db: &mut PgConnection, from: &str) -> i64 {
    let sql = format!("select count(*) from {from}");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(db).await.unwrap_or_else(|error| panic!("{from}: {error}"))
}

/// What an operator calls.
fn command(world: &World, name: &str, account: Uuid) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_projector"));
    let told = command.args([name, &account.to_string(), "--json"]).env("DATABASE_URL", world.url()).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_sees_its_own_rows_under_the_same_names_and_no_others_whatever_it_tries() {
    let world = World::new();
    let mut story = Story::new();
    let [ours, theirs] = [story.opens(Tier::Pro), story.opens(Tier::Pro)];
    for account in [ours, theirs] {
        story.buys(account, credits(100));
        let key = story.issues_key(account).0;
        story.pays(account, Some(key));
    }
    world.append(&story.events).await;
    world.project(2_000).await;
    let mut projector = world.connect().await;
    let granted = command(&world, "grant-account", ours.0);
    let text = |name: &str| granted[name].as_str().unwrap().to_owned();
    let (role_name, password) = (text("role"), text("password"));
    let other = grant(&mut projector, theirs.0).await.unwrap();
    let mut role = PgConnection::connect(&world.postgres.url_as(&role_name, &password)).await.unwrap();
    for view in VIEWS {
        assert!(count(&mut role, view).await > 0, "{view}");
        assert_eq!(count(&mut role, &format!("{view} where account_id <> '{ours}'")).await, 0, "{view}");
        assert_eq!(count(&mut role, &format!("{view} where account_id = '{theirs}'")).await, 0, "{view}");
    }
    let timeout: String = sqlx::query_scalar("show statement_timeout").fetch_one(&mut role).await.unwrap();
    let read_only: String =
        sqlx::query_scalar("show default_transaction_read_only").fetch_one(&mut role).await.unwrap();
    assert_eq!((timeout.as_str(), read_only.as_str()), ("1min", "on"));

    // Nothing that a session can say changes whose rows it sees.
    for said in [
        "set default_transaction_read_only = off".to_owned(),
        "set search_path = public, account".to_owned(),
        "set search_path = account, public".to_owned(),
        "set row_security = off".to_owned(),
        format!("set layers.account = '{theirs}'"),
        format!("set application_name = '{}'", other.role),
        "set session_replication_role = replica".to_owned(),
        "set role layers_account".to_owned(),
        format!("set role {}", other.role),
        format!("set session authorization {}", other.role),
        "set role layers_analyst".to_owned(),
        "set role layers_projector".to_owned(),
        format!("insert into projector.account_roles values ('{}', '{theirs}')", role_name),
        format!("update account.usage_logs set account_id = '{theirs}'"),
        "create or replace view account.usage_logs as select * from public.usage_logs".to_owned(),
        "reset role".to_owned(),
    ] {
        // Some of it is refused, some says nothing.
        let _ = role.execute(AssertSqlSafe(said.clone())).await;
        assert_eq!(count(&mut role, "account.usage_logs").await, 1, "after {said}");
        assert_eq!(
            count(&mut role, &format!("account.usage_logs where account_id = '{theirs}'")).await,
            0,
            "after {said}"
        );
    }
    role.execute("reset all").await.unwrap();
    // A function of its own in a condition, as cheap as can be, is told no row but its own.
    role.execute("set default_transaction_read_only = off").await.unwrap();
    role.execute(
        "create function pg_temp.tell(account uuid) returns boolean language plpgsql cost 0.0000001 as
         $$ begin raise exception 'seen: %', account; end $$",
    )
    .await
    .unwrap();
    let seen =
        role.execute("select count(*) from account.usage_logs where pg_temp.tell(account_id)").await.unwrap_err();
    assert!(seen.to_string().contains(&format!("seen: {ours}")), "{seen}");
    let seen =
        format!("select count(*) from account.usage_logs where account_id <> '{ours}' and pg_temp.tell(account_id)");
    assert_eq!(sqlx::query_scalar::<_, i64>(AssertSqlSafe(seen)).fetch_one(&mut role).await.unwrap(), 0);

    for refused in [
        "select * from public.usage_logs",
        "select * from public.credit_balances",
        "select * from public.journal",
        "select * from model_prices",
        "select * from model_daily",
        "select * from profiles",
        "select * from analyst.api_keys",
        "select * from read_models.requests",
        "select * from read_models.usage_by_day",
        "select * from projector.projection",
        "select * from projector.account_roles",
        "select * from ledger.events",
        "select * from ledger.events_of_account(gen_random_uuid(), 0, 9, 9)",
        "select * from gateway.answers",
        "select lost from credit_balances",
        "select key_hash from api_keys",
        "select public.position_at(now())",
        "select projector.grant_account(gen_random_uuid(), 'x')",
        "create table account.mine (x int)",
        "create table public.mine (x int)",
        "copy (select 1) to program 'true'",
        "select pg_read_file('/etc/hostname')",
    ] {
        let refused = role.execute(refused).await.map_err(|error| error.to_string());
        assert!(refused.is_err(), "{refused:?}");
    }

    // Another grant is another password; a role that is gone lets nobody in, and an open session sees nothing.
    let again = grant(&mut projector, ours.0).await.unwrap();
    assert_eq!(again.role, role_name);
    assert!(PgConnection::connect(&world.postgres.url_as(&role_name, &password)).await.is_err());
    assert!(PgConnection::connect(&world.postgres.url_as(&again.role, &again.password)).await.is_ok());
    assert_eq!(command(&world, "revoke-account", ours.0)["revoked"], true);
    assert!(!revoke(&mut projector, ours.0).await.unwrap());
    assert!(PgConnection::connect(&world.postgres.url_as(&again.role, &again.password)).await.is_err());
    let left = role.fetch_one("select count(*) from account.usage_logs").await;
    assert!(left.map_or(true, |row| sqlx::Row::get::<i64, _>(&row, 0) == 0));
    assert!(grant(&mut projector, Uuid::now_v7()).await.is_err(), "there is no such account");
}
