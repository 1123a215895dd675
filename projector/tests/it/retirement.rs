//! Months are dropped. Sums, balances and the journal stay right, also when something is told of them later.

use projector::follow::{Status, follow_keeping};
use projector::rebuild::{Wanted, rebuild};
use projector::retire::Retention;
use schemas::event::{Event, ReleaseReason};
use schemas::tier::Tier;

use crate::kit::{Story, World, credits, until};

const KEEP: Retention = Retention { requests: Some(1), hours: Some(0) };

/// A month long ago, with a request that is still open at its end, and one of which the usage is not there yet; and what is told
/// of them later.
fn told() -> (Vec<Event>, Vec<Event>) {
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(100));
    let key = story.issues_key(account).0;
    for _ in 0..3 {
        story.pays(account, Some(key));
    }
    let [open, released, unknown] = [story.request(), story.request(), story.request()];
    for request in [open, released] {
        story.authorizes(account, request, Some(key), credits(4));
    }
    story.releases(account, released, ReleaseReason::Undecided);
    // Fenced after its authorization: the hold counts.
    let gateway = story.gateway;
    story.fences(gateway);
    let first = story.events.len();
    story.uses(account, open, 2_000, 1_000);
    story.deducts(account, open, credits(3));
    story.uses(account, released, 2_000, 1_000);
    story.releases(account, unknown, ReleaseReason::Refused);
    let later = story.events.split_off(first);
    (story.events, later)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_is_dropped_leaves_its_sums_and_what_comes_late_is_counted_all_the_same() {
    let (events, later) = told();
    let [world, whole] = [World::new(), World::new()];
    for world in [&world, &whole] {
        world.append(&events).await;
        world.project(2).await;
    }
    let (options, status) = (world.options(), Status::default());
    let following = follow_keeping(&options, KEEP, &status);
    let work = async {
        until(|| world.sql("select count(*) from projector.kept_months") == "2").await;
        assert_eq!(world.sql("select count(*) from read_models.requests"), "0");
        assert_eq!(world.sql("select count(*) from usage_logs"), "0");
        assert_eq!(world.sql("select count(*) from usage_hourly"), "0");
        assert_eq!(world.sql("select sum(requests) from usage_daily"), "4");
        world.append(&later).await;
        world.caught_up().await;
    };
    tokio::select! {
        () = following => unreachable!(),
        () = work => {}
    }
    whole.append(&later).await;
    whole.project(3).await;
    assert_eq!(whole.sql("select sum(requests), sum(input_tokens) from usage_daily"), "6|10000");
    let kept = "select c.* from projector.projection p, projector.checksums(p.version) c
                where p.live and table_name not in ('requests', 'usage_hourly') order by 1";
    assert_eq!(world.sql(kept), whole.sql(kept));
    assert_eq!(world.sql("select count(*) from read_models.requests"), "0", "no row that looks like all there is");

    // A rebuild folds all of it, and drops the same months before anybody sees them.
    let report = rebuild(&world.options(), &Wanted::default(), |_| {}).await.unwrap();
    assert!(report.comparison.as_ref().is_some_and(|comparison| comparison.same), "{report:?}");
    assert_eq!(world.sql("select version from public.projection"), "2");
    assert_eq!(world.sql("select count(*) from usage_logs"), "0");
    assert_eq!(world.sql(kept), whole.sql(kept));
    // Nor do sums that are made anew touch what has no requests any more.
    world.sql("select projector.fill_rollups(2)");
    assert_eq!(world.sql(kept), whole.sql(kept));
}

#[tokio::test(flavor = "multi_thread")]
async fn whole_months_go_and_the_others_stay() {
    let world = World::new();
    let mut story = Story::new();
    world.append(&story.events).await;
    world.project(1).await;
    let now = world.sql("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    let begin = story.events.len();
    let old = story.opens(Tier::Pro);
    story.buys(old, credits(10));
    story.pays(old, None);
    let mut recent = Story::at(&now);
    let account = recent.opens(Tier::Pro);
    recent.buys(account, credits(10));
    recent.pays(account, None);
    world.append(&story.events[begin..]).await;
    world.append(&recent.events[1..]).await;
    world.project(5).await;
    assert_eq!(world.sql("select count(*) from usage_logs"), "2");
    let (options, status) = (world.options(), Status::default());
    tokio::select! {
        () = follow_keeping(&options, KEEP, &status) => unreachable!(),
        () = until(|| world.sql("select count(*) from projector.kept_months") == "2") => {}
    }
    assert_eq!(world.sql(&format!("select count(*), max(account_id::text) = '{account}' from usage_logs")), "1|t");
    assert_eq!(world.sql("select count(*) from usage_hourly"), "1");
    assert_eq!(world.sql("select sum(requests) from usage_monthly"), "2");
    // Partitions of retired months do not come back.
    world.sql("select projector.ensure_months(1, now() - interval '2 years', now())");
    let first = "select min(substring(relname from '\\d{4}_\\d{2}$')) = to_char(now() at time zone 'UTC' - interval '1 month', 'YYYY_MM')
                 from pg_class where relname ~ '^requests_1_\\d{4}_\\d{2}$'";
    assert_eq!(world.sql(first), "t");
}
