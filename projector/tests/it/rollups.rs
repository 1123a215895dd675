//! Sums over requests: whatever happened, in whichever order, they are what the requests add up to; and what an upgrade finds.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use schemas::event::ReleaseReason;
use schemas::tier::Tier;

use crate::kit::{SONNET, Story, World, credits, log_of, steps};

const TABLES: [&str; 5] = ["usage_by_day", "usage_hourly", "usage_monthly", "model_daily", "latency_daily"];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_they_are_what_the_requests_add_up_to() {
    let world = World::new();
    let mut runner = TestRunner::deterministic();
    for batch in [1, 7, 60] {
        let steps = steps(300).new_tree(&mut runner).unwrap().current();
        let (log, _) = log_of(&steps);
        let log = if world.position() == 0 { &log[..] } else { &log[1..] };
        world.append(log).await;
        world.project(batch).await;
    }
    let followed = world.checksums();
    for table in TABLES {
        assert_ne!(world.sql(&format!("select count(*) from read_models.{table}")), "0", "{table}");
    }
    // Added up anew, in SQL.
    world.sql("select projector.fill_rollups(1)");
    assert_eq!(world.checksums(), followed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_counts_in_its_hour_month_key_and_model() {
    let world = World::new();
    let mut story = Story::at("2026-03-31T23:59:59.990Z");
    let account = story.opens(Tier::Team);
    story.buys(account, credits(100));
    story.adjusts(account, None, credits(-2), credits(0));
    let key = story.issues_key(account).0;
    story.pays(account, Some(key));
    let failed = story.request();
    story.authorizes(account, failed, Some(key), credits(1));
    story.releases(account, failed, ReleaseReason::ProviderFailed);
    world.append(&story.events).await;
    world.project(3).await;
    let sums =
        "model_id, provider, livemode, requests, failed, input_tokens, trim_scale(credits_used), trim_scale(cost_usd)";
    let told = format!("{SONNET}|anthropic|t|2|1|2000|3.36|0.021");
    let march = |of: &str, from: &str| world.sql(&format!("select {of}, {sums} from {from} order by 1 limit 1"));
    assert_eq!(march("api_key_id, day", "usage_daily"), format!("{key}|2026-03-31|{told}"));
    assert_eq!(
        march("api_key_id, hour at time zone 'UTC'", "usage_hourly"),
        format!("{key}|2026-03-31 23:00:00|{told}")
    );
    assert_eq!(march("account_id, month", "usage_monthly"), format!("{account}|2026-03-01|{told}"));
    assert_eq!(march("day", "model_daily"), format!("2026-03-31|{told}"));
    // 1,200 ms and 300 ms, of what succeeded.
    assert_eq!(
        world.sql("select measure, from_ms, below_ms, requests from latency_daily order by 1"),
        "latency|1152|1216|1\nttft|288|304|1"
    );
    assert_eq!(
        world.sql("select trim_scale(topped_up), trim_scale(adjusted), trim_scale(bought), trim_scale(lost), requests from credit_balances"),
        "100|-2|98|0|2"
    );
    assert_eq!(
        world.sql(&format!(
            "select price_version, trim_scale(input_usd), trim_scale(output_usd), margin_percent::int, status, position, published_at is not null
             from model_prices where model_id = '{SONNET}'"
        )),
        "1|3|15|60|active|1|t"
    );
    assert_eq!(world.sql("select count(*) from model_prices"), "54");
    // The time inside an id finds the row.
    assert_eq!(
        world.sql("select count(*), count(*) filter (where request_time(request_id) = created_at) from usage_logs"),
        "2|2"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn until_an_older_projector_is_replaced_queries_see_what_it_wrote_and_nothing_half() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(100));
    for _ in 0..3 {
        let key = story.issues_key(account).0;
        story.pays(account, Some(key));
    }
    world.append(&story.events).await;
    world.project(2_000).await;
    let right = world.checksums();
    // What the projector of the release before leaves: its sums by day, and a checkpoint that it alone has moved.
    world.sql(
        "insert into read_models.usage_daily select version, account_id, day, model_id, provider, livemode, sum(requests), sum(failed),
            sum(cancelled), sum(input_tokens), sum(cached_tokens), sum(cache_write_tokens), sum(output_tokens), sum(reasoning_tokens),
            sum(images), sum(credits_used), sum(cost_usd) from read_models.usage_by_day group by 1, 2, 3, 4, 5, 6;
         delete from read_models.usage_by_day where ctid = (select min(ctid) from read_models.usage_by_day);
         truncate read_models.usage_hourly, read_models.latency_daily; update read_models.model_daily set requests = 1;
         update projector.projection set rollups_position = position - 1",
    );
    assert_eq!(world.sql("select sum(requests), count(*), count(api_key_id) from usage_daily"), "3|1|0");
    for view in ["usage_hourly", "usage_monthly", "model_daily", "latency_daily"] {
        assert_eq!(world.sql(&format!("select count(*) from {view}")), "0", "{view}");
    }
    // The one of this release takes over.
    world.project(2_000).await;
    assert_eq!(world.checksums(), right);
    assert_eq!(world.sql("select sum(requests), count(*), count(api_key_id) from usage_daily"), "3|3|3");
    assert_eq!(world.sql("select count(*) from read_models.usage_daily"), "0");
}
