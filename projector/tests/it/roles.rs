//! Who may read what.

use schemas::tier::Tier;
use sqlx::{Executor, PgConnection};

use crate::kit::{Story, World, credits};

/// Views without secrets.
const READ: [&str; 12] = [
    "credit_balances",
    "usage_logs",
    "usage_daily",
    "usage_hourly",
    "usage_monthly",
    "model_daily",
    "latency_daily",
    "model_prices",
    "credit_transactions",
    "projection",
    "journal",
    "credit_history",
];

async fn is_allowed(connection: &mut PgConnection, statement: &str) -> bool {
    match connection.execute(sqlx::AssertSqlSafe(statement)).await {
        Ok(_) => true,
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
            // Privilege, a read-only transaction, or a view that cannot be written to.
            assert!(["42501", "25006", "55000"].contains(&code.as_str()), "{statement}: {error}");
            false
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyst_reads_usage_and_balances_and_no_key_hash() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(10));
    let key = story.issues_key(account);
    story.pays(account, Some(key.0));
    world.append(&story.events).await;
    world.project(2_000).await;

    let mut analyst = world.connect_as("layers_analyst").await;
    for table in READ.into_iter().chain(["api_keys"]) {
        assert!(is_allowed(&mut analyst, &format!("select * from {table}")).await, "{table}");
    }
    let columns: Vec<String> = sqlx::query_scalar(
        "select attname::text from pg_attribute where attrelid = 'api_keys'::regclass and attnum > 0",
    )
    .fetch_all(&mut analyst)
    .await
    .unwrap();
    assert!(columns.contains(&"key_prefix".to_owned()) && !columns.contains(&"key_hash".to_owned()));
    for statement in [
        "select key_hash from public.api_keys",
        "select * from profiles",
        "select * from read_models.requests",
        "select * from read_models.journal",
        "select * from read_models.usage_by_day",
        "select * from account.usage_logs",
        "select * from projector.account_roles",
        "select projector.grant_account(gen_random_uuid(), 'x')",
        "select * from ledger.events",
        "select projector.create_version(now(), now())",
        "create table mine (x int)",
    ] {
        assert!(!is_allowed(&mut analyst, statement).await, "{statement}");
    }
    let timeout: String = sqlx::query_scalar("show statement_timeout").fetch_one(&mut analyst).await.unwrap();
    assert_eq!(timeout, "1min");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_reads_all_of_them_and_writes_none() {
    let world = World::new();
    let mut gateway = world.connect_as("layers_gateway").await;
    for view in READ.into_iter().chain(["api_keys"]) {
        assert!(is_allowed(&mut gateway, &format!("select * from {view}")).await, "{view}");
        assert!(!is_allowed(&mut gateway, &format!("delete from {view}")).await, "{view}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_projector_owns_nothing() {
    let world = World::new();
    let mut projector = world.connect_as("layers_projector").await;
    for statement in [
        "drop table read_models.requests",
        "drop view public.usage_logs",
        "insert into ledger.events (position) values (1)",
        "update ledger.head set position = 1",
    ] {
        assert!(!is_allowed(&mut projector, statement).await, "{statement}");
    }
    let live = projector.execute("select projector.drop_table_of_version(1, 'requests')").await;
    assert!(live.unwrap_err().to_string().contains("version 1 is live"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_column_says_what_it_is() {
    let world = World::new();
    let silent = world.sql(
        "select attrelid::regclass || '.' || attname from pg_attribute join pg_class on pg_class.oid = attrelid
         where relnamespace in ('public'::regnamespace, 'analyst'::regnamespace, 'account'::regnamespace) and relkind in ('v', 'r') and attnum > 0
           and col_description(attrelid, attnum) is null",
    );
    assert_eq!(silent, "");
}
