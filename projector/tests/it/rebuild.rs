//! A rebuild gives the same rows, and nobody who reads notices.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use projector::follow::{Status, follow_keeping};
use projector::rebuild::{RebuildError, Wanted, rebuild};
use projector::retire::Retention;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use schemas::tier::Tier;
use sqlx::{AssertSqlSafe, Connection};

use crate::kit::{Story, World, credits, log_of, steps, until};

#[tokio::test(flavor = "multi_thread")]
async fn rebuilt_rows_are_the_same_as_those_that_were_followed() {
    let world = World::new();
    let mut runner = TestRunner::deterministic();
    for batch in [1, 7, 60] {
        let steps = steps(400).new_tree(&mut runner).unwrap().current();
        let (log, _) = log_of(&steps);
        // Prices are published once.
        let log = if world.position() == 0 { &log[..] } else { &log[1..] };
        world.append(log).await;
        world.project(batch).await;
    }
    let before = world.checksums();
    let report = rebuild(&world.options(), &Wanted::default(), |_| {}).await.unwrap();
    assert_eq!((report.version, report.replaced, report.dropped), (2, Some(1), true));
    let comparison = report.comparison.unwrap();
    assert!(comparison.same, "{comparison:?}");
    assert!(comparison.tables.iter().any(|table| table.table == "requests" && table.rows_live > 10));
    assert_eq!(world.checksums(), before);
    assert_eq!(
        world.sql("select version, position = (select position from ledger.head) from public.projection"),
        "2|t"
    );
    assert_eq!(world.sql("select count(*) from pg_class where relname like 'requests_1%'"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_and_wrong_rows_come_back_and_the_difference_is_told() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(100));
    for _ in 0..20 {
        story.pays(account, None);
    }
    world.append(&story.events).await;
    world.project(2_000).await;
    let right = world.checksums();
    world.sql("truncate read_models.requests; update read_models.credit_balances set bought = bought + 1");
    let report = rebuild(&world.options(), &Wanted::default(), |_| {}).await.unwrap();
    let comparison = report.comparison.unwrap();
    let differing: Vec<_> =
        comparison.tables.iter().filter(|table| !table.same).map(|table| table.table.as_str()).collect();
    assert_eq!((comparison.same, differing), (false, vec!["credit_balances", "requests"]));
    assert_eq!(world.checksums(), right);
    // Even the checkpoint may be gone.
    world.sql("delete from projector.projection");
    let report = rebuild(&world.options(), &Wanted::default(), |_| {}).await.unwrap();
    assert!(report.comparison.is_none());
    assert_eq!(world.checksums(), right);
    assert_eq!(world.sql("select count(*) from pg_class where relname ~ '^requests_[0-9]+$'"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_runs_readers_never_meet_an_empty_table_and_the_follower_goes_on() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(1_000_000));
    let (key, _) = story.issues_key(account);
    for _ in 0..1_500 {
        story.pays(account, Some(key));
    }
    world.append(&story.events).await;
    world.project(2_000).await;

    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    // Every view that analysts have and that has rows.
    let views = world.sql(
        "select table_schema || '.' || table_name from information_schema.role_table_grants
         where grantee = 'layers_analyst' and privilege_type = 'SELECT' and table_schema in ('public', 'analyst')",
    );
    let has_rows = |view: &&str| world.sql(&format!("select exists (select from {view})")) == "t";
    let views: Vec<_> = views.lines().filter(has_rows).collect();
    assert!(views.len() >= 7, "{views:?}");
    let reader = async {
        let mut connection = world.connect_as("layers_analyst").await;
        let mut seen = 0;
        while !stop.load(Ordering::Relaxed) {
            // All of it from one snapshot: what was bought, charged and used must agree, and never be less than before.
            let (charged, used, rows): (String, String, i64) = sqlx::query_as(
                "select (select trim_scale(sum(charged))::text from credit_balances),
                        (select trim_scale(sum(credits_used))::text from usage_daily), (select count(*) from usage_logs)",
            )
            .fetch_one(&mut connection)
            .await
            .unwrap();
            assert_eq!(charged, used);
            assert!(rows >= seen && rows >= 1_500, "{rows} rows after {seen}");
            seen = rows;
            for view in &views {
                let query = format!("select exists (select from {view})");
                // Planned anew each time, as psql and most tools do.
                let query = sqlx::query_scalar(AssertSqlSafe(query)).persistent(false);
                let has_rows: bool = query.fetch_one(&mut connection).await.unwrap();
                assert!(has_rows, "{view} is empty");
            }
            reads.fetch_add(1, Ordering::Relaxed);
        }
    };
    let status = Status::default();
    let (options, wanted) = (world.options(), Wanted::default());
    let work = async {
        for _ in 0..3 {
            let before = story.events.len();
            for _ in 0..200 {
                story.pays(account, None);
            }
            let (report, ()) = tokio::join!(rebuild(&options, &wanted, |_| {}), world.append(&story.events[before..]));
            let comparison = report.unwrap().comparison.unwrap();
            assert!(comparison.same, "{comparison:?}");
        }
        world.caught_up().await;
        stop.store(true, Ordering::Relaxed);
    };
    // The story is an old one: its hours would be retired while readers look.
    let following = follow_keeping(&options, Retention { requests: None, hours: None }, &status);
    tokio::select! {
        () = following => unreachable!(),
        _ = async { tokio::join!(reader, work) } => {}
    }
    assert_eq!(world.sql("select version from public.projection"), "4");
    assert_eq!(world.sql("select count(*), trim_scale(sum(credits_used)) from usage_logs"), "2100|7056");
    assert!(reads.load(Ordering::Relaxed) > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_was_killed_leaves_nothing_that_matters() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(1_000_000));
    for _ in 0..4_000 {
        story.pays(account, None);
    }
    world.append(&story.events).await;
    world.project(2_000).await;
    let right = world.checksums();
    let (options, wanted) = (world.options(), Wanted::default());
    {
        let (halfway, seen) = (AtomicBool::new(false), AtomicU64::new(0));
        let running =
            rebuild(&options, &wanted, |_| halfway.store(seen.fetch_add(1, Ordering::Relaxed) >= 1, Ordering::Relaxed));
        tokio::select! {
            _ = running => unreachable!("it is killed before its end"),
            () = async { while !halfway.load(Ordering::Relaxed) { tokio::task::yield_now().await } } => {}
        }
    }
    assert_eq!(world.checksums(), right);
    // The killed one's session may still be about to end, and with it its lock.
    let report = loop {
        match rebuild(&options, &wanted, |_| {}).await {
            Err(RebuildError::AlreadyRunning) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    assert!(report.comparison.unwrap().same);
    assert_eq!(world.checksums(), right);
    assert_eq!(world.sql("select count(*) from projector.projection"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_query_delays_the_drop_and_nobody_else() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(100));
    story.pays(account, None);
    world.append(&story.events).await;
    world.project(2_000).await;
    let (mut long, mut other) = (world.connect_as("layers_analyst").await, world.connect_as("layers_analyst").await);
    let count = "select count(*) from usage_logs";
    let mut reading = long.begin().await.unwrap();
    let seen: i64 = sqlx::query_scalar(count).fetch_one(&mut *reading).await.unwrap();
    let (options, wanted) = (world.options(), Wanted::default());
    let mut running = Box::pin(rebuild(&options, &wanted, |_| {}));
    tokio::select! {
        _ = &mut running => unreachable!("the old version is still being read"),
        () = async {
            until(|| world.sql("select version from public.projection") == "2").await;
            for _ in 0..20 {
                let now: i64 = sqlx::query_scalar(count).fetch_one(&mut other).await.unwrap();
                assert_eq!(now, 1);
            }
        } => {}
    }
    reading.commit().await.unwrap();
    assert!(running.await.unwrap().dropped);
    assert_eq!(seen, 1);
}
