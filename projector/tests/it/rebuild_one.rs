//! One table is rebuilt alone: what was wrong in it is told and gone, and nothing else changes.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use projector::follow::{Status, follow};
use projector::rebuild::{RebuildError, Report, Wanted, rebuild};
use schemas::tier::Tier;

use crate::kit::{Story, World, credits};

async fn only(world: &World, table: &str) -> Result<Report, RebuildError> {
    let wanted = Wanted { only: Some(table.to_owned()), ..Wanted::default() };
    rebuild(&world.options(), &wanted, |_| {}).await
}

fn differing(report: &Report) -> Vec<&str> {
    let tables = &report.comparison.as_ref().unwrap().tables;
    tables.iter().filter(|table| !table.same).map(|table| table.table.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_table_comes_back_alone() {
    let world = World::new();
    let mut story = Story::new();
    for tier in [Tier::Pro, Tier::Free] {
        let account = story.opens(tier);
        let key = story.issues_key(account);
        story.buys(account, credits(1_000));
        story.adjusts(account, None, credits(-1), credits(0));
        for _ in 0..30 {
            story.pays(account, Some(key.0));
        }
        let open = story.request();
        story.authorizes(account, open, Some(key.0), credits(5));
        story.revokes_key(account, key);
    }
    story.fences(story.gateway);
    world.append(&story.events).await;
    world.project(50).await;
    let right = world.checksums();
    let tables = world.sql("select unnest(projector.tables()) except select 'usage_daily'");
    assert!(tables.lines().count() >= 8);
    for table in tables.lines() {
        let rows: i64 = world.sql(&format!("select count(*) from read_models.{table}")).parse().unwrap();
        assert!(rows > 0, "the story fills {table}");
        // Half of them, and the last one.
        world.sql(&format!("delete from read_models.{table} where ctid = any (array(select ctid from read_models.{table} limit {rows} / 2 + 1))"));
        let report = only(&world, table).await.unwrap();
        assert_eq!(differing(&report), [table], "{report:?}");
        assert_eq!((report.rows_removed, report.rows_added), (Some(0), Some(rows / 2 + 1)), "{table}");
        assert_eq!((report.version, report.replaced, report.dropped), (1, None, true));
        assert_eq!(world.checksums(), right, "{table}");
        let again = only(&world, table).await.unwrap();
        assert!(again.comparison.unwrap().same);
        assert_eq!((again.rows_removed, again.rows_added), (Some(0), Some(0)));
    }
    assert_eq!(world.sql("select count(*) from projector.projection"), "1");
    assert_eq!(world.sql("select count(*) from pg_class where relname ~ '^requests_[0-9]+$'"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_rows_and_rows_too_many_are_told_and_gone() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(1_000));
    for _ in 0..20 {
        story.pays(account, None);
    }
    world.append(&story.events).await;
    world.project(2_000).await;
    let right = world.checksums();
    world.sql(
        "insert into read_models.usage_by_day select version, account_id, day + 1, api_key_id, model_id, 'nobody', livemode, 7, failed, cancelled,
            input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, images, credits_used, cost_usd
         from read_models.usage_by_day;
         update read_models.usage_by_day set credits_used = credits_used + 1 where provider <> 'nobody'",
    );
    let report = only(&world, "usage_by_day").await.unwrap();
    assert_eq!(differing(&report), ["usage_by_day"]);
    assert_eq!((report.rows_removed, report.rows_added), (Some(2), Some(1)));
    assert_eq!(world.checksums(), right);

    // What the table is made from is compared too, and left as it is.
    world.sql(
        "update read_models.requests set provider = 'nobody' where ctid = (select min(ctid) from read_models.requests)",
    );
    let report = only(&world, "usage_by_day").await.unwrap();
    assert_eq!(differing(&report), ["requests"]);
    assert_eq!(world.sql("select count(*) from usage_logs where provider = 'nobody'"), "1");
    assert_eq!(only(&world, "requests").await.unwrap().rows_added, Some(1));
    assert_eq!(world.checksums(), right);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_table_is_an_error_that_names_the_known_ones() {
    let world = World::new();
    let error = only(&world, "usage_weekly").await.unwrap_err();
    assert!(matches!(error, RebuildError::UnknownTable { .. }), "{error}");
    let output = Command::new(env!("CARGO_BIN_EXE_projector"))
        .args(["rebuild", "--only", "usage_weekly"])
        .env("DATABASE_URL", world.url())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(complaint.contains("usage_weekly is no table") && complaint.contains("usage_by_day"), "{complaint}");
    assert_eq!(world.sql("select count(*) from projector.projection"), "1", "nothing was begun");
    world.sql("delete from projector.projection");
    assert!(matches!(only(&world, "usage_by_day").await.unwrap_err(), RebuildError::NotLive));
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_and_the_follower_go_on_meanwhile() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(1_000_000));
    for _ in 0..1_200 {
        story.pays(account, None);
    }
    world.append(&story.events).await;
    world.project(2_000).await;
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let reader = async {
        let mut connection = world.connect_as("layers_analyst").await;
        while !stop.load(Ordering::Relaxed) {
            let (days, wrong, requests, logs): (i64, i64, i64, i64) = sqlx::query_as(
                "select count(*), count(*) filter (where failed > 0), sum(requests)::int8, (select count(*) from usage_logs) from usage_daily",
            )
            .fetch_one(&mut connection)
            .await
            .unwrap();
            assert!(days == 1 && logs == requests, "{days} days, {requests} requests of {logs}, {wrong} wrong");
            reads.fetch_add(1, Ordering::Relaxed);
        }
    };
    let (status, options) = (Status::default(), world.options());
    let work = async {
        for _ in 0..3 {
            let before = story.events.len();
            for _ in 0..150 {
                story.pays(account, None);
            }
            world.sql("update read_models.usage_by_day set failed = failed + 1");
            let (report, ()) = tokio::join!(only(&world, "usage_by_day"), world.append(&story.events[before..]));
            assert_eq!(report.unwrap().rows_added, Some(1));
            assert_eq!(world.sql("select failed from usage_daily"), "0");
        }
        world.caught_up().await;
        stop.store(true, Ordering::Relaxed);
    };
    tokio::select! {
        () = follow(&options, &status) => unreachable!(),
        _ = async { tokio::join!(reader, work) } => {}
    }
    assert!(reads.load(Ordering::Relaxed) > 10);
    // The follower has gone on with the rows that came, and with the prices that came too.
    let report = rebuild(&options, &Wanted::default(), |_| {}).await.unwrap();
    assert!(report.comparison.unwrap().same);
}
