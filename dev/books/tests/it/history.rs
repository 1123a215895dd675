//! The made-up year is one that a projector could have built, and the queries of docs/analytics.md are answered from it as they
//! are meant to be.

use books::history::{Year, append, explain, fill, questions};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, Row};
use stack::servers::Postgres;

use crate::kit::project;

/// To be projected event by event.
const FEW: u64 = 1_500;
/// For questions, some of which few accounts have an answer to.
const MORE: u64 = 20_000;

async fn world() -> (Postgres, PgConnection) {
    let postgres = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap();
    let options = ledger::database::options(&postgres.url()).unwrap();
    ledger::database::migrate(&options).await.unwrap();
    let db = options.connect().await.unwrap();
    (postgres, db)
}

/// The year that ends with this hour.
fn year(requests: u64) -> Year {
    let until: DateTime<Utc> = Utc::now().duration_trunc(TimeDelta::hours(1)).unwrap();
    Year::new(7, until, requests).unwrap()
}

/// Rows and checksum of each table but the journal, which the generator does not write.
async fn checksums(db: &mut PgConnection) -> Vec<(String, i64, String)> {
    let sql = "select c.table_name, c.row_count, c.checksum::text from projector.projection p, projector.checksums(p.version) c
               where p.live and c.table_name <> 'journal' order by 1";
    sqlx::query_as(sql).fetch_all(db).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_what_the_projector_builds_from_its_events() {
    let (_written, mut written) = world().await;
    fill(&mut written, year(FEW), None, |_| {}).await.unwrap();
    let (projected, mut db) = world().await;
    append(&mut db, year(FEW)).await.unwrap();
    project(&projected.url());
    let (written, projected) = (checksums(&mut written).await, checksums(&mut db).await);
    assert_eq!(written, projected);
    let rows = |table: &str| written.iter().find(|row| row.0 == table).map_or(0, |row| row.1);
    assert_eq!(rows("requests"), FEW as i64);
    for table in
        ["usage_by_day", "usage_hourly", "usage_monthly", "model_daily", "latency_daily", "api_keys", "price_books"]
    {
        assert!(rows(table) > 1, "{table}: {written:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queries_of_the_docs_are_answered_from_sums_or_from_few_months() {
    let (postgres, mut db) = world().await;
    fill(&mut db, year(MORE), None, |_| {}).await.unwrap();
    db.execute("alter role layers_analyst password 'history'").await.unwrap();
    let mut analyst = PgConnection::connect(&postgres.url_as("layers_analyst", "history")).await.unwrap();
    let page = std::fs::read_to_string(stack::place::checkout().join("docs/analytics.md")).unwrap();
    let asked = questions(&page).unwrap();
    assert_eq!(asked.len(), 10);
    let account =
        text(&mut db, "select account_id::text from usage_monthly group by 1 order by sum(requests) desc limit 1")
            .await;
    let request = text(&mut db, "select min(request_id::text) from usage_logs").await;
    for question in &asked {
        let sql = question.with(&account, &request);
        let rows = analyst.fetch_all(AssertSqlSafe(sql.clone())).await.unwrap();
        assert!(!rows.is_empty(), "{}", question.title);
        let reading = explain(&mut analyst, &sql).await.unwrap();
        let months = reading.tables.iter().filter(|table| table.starts_with("requests_")).count();
        assert!(months <= 2, "{}: {:?}", question.title, reading.tables);
        let needs_requests = question.title.starts_with("7.") || question.title.starts_with("10.");
        assert_eq!(months > 0, needs_requests, "{}: {:?}", question.title, reading.tables);
        if question.title.starts_with("10.") {
            assert_eq!((rows.len(), months), (1, 1));
        }
    }
    // What the sums say is what the requests say.
    let by_sums = &analyst.fetch_all(AssertSqlSafe(asked[0].with("", ""))).await.unwrap()[0];
    let by_requests = "select count(*)::numeric, sum(credits_used) / 100 from usage_logs where livemode
        and date_trunc('month', created_at at time zone 'UTC')::date = $1 and model_id = $2";
    let same: bool = sqlx::query_scalar(AssertSqlSafe(format!(
        "select (x.*) = ($3::text::numeric, $4::text::numeric) from ({by_requests}) x"
    )))
    .bind(by_sums.get::<chrono::NaiveDate, _>(0))
    .bind(by_sums.get::<String, _>(1))
    .bind(text_of(&mut analyst, &asked[0].with("", ""), "requests").await)
    .bind(text_of(&mut analyst, &asked[0].with("", ""), "charged_usd").await)
    .fetch_one(&mut db)
    .await
    .unwrap();
    assert!(same);
    // The p95 of the sums is that of the requests, within a 32nd.
    let p95: Vec<(String, i64)> =
        sqlx::query_as(AssertSqlSafe(format!("select provider, p95_ms::int8 from ({}) p", asked[3].with("", ""))))
            .fetch_all(&mut analyst)
            .await
            .unwrap();
    assert!(p95.len() > 3);
    for (provider, p95_ms) in p95 {
        let exact: i64 = sqlx::query_scalar(
            "select percentile_disc(0.95) within group (order by latency_ms) from usage_logs
             where livemode and status = 'success' and provider = $1 and created_at >= (current_date - 30)::timestamp at time zone 'UTC'",
        )
        .bind(&provider)
        .fetch_one(&mut db)
        .await
        .unwrap();
        assert!((exact - p95_ms).abs() * 32 <= exact, "{provider}: {p95_ms} and {exact}");
    }
}

async fn text(db: &mut PgConnection, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(db).await.unwrap()
}

/// A column of the first row.
async fn text_of(db: &mut PgConnection, sql: &str, column: &str) -> String {
    sqlx::query_scalar(AssertSqlSafe(format!("select {column}::text from ({sql}) q limit 1")))
        .fetch_one(db)
        .await
        .unwrap()
}
