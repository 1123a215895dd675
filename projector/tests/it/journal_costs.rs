//! What the journal's rows cost a projector. Not a part of `make test`:
//! `cargo nextest run -p projector --run-ignored only --no-capture journal_costs`.

use std::time::{Duration, Instant};

use projector::apply::{OnPoison, Version};
use projector::log;
use projector::page::Page;
use schemas::tier::Tier;

use crate::kit::{Story, World, credits};

const REQUESTS: usize = 20_000;
const ROUNDS: usize = 5;

/// The best of some rounds, with the rows and with a rule that throws them away, by turns.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "it measures"]
async fn the_journals_rows_cost_a_small_part() {
    let world = World::new();
    let mut story = Story::new();
    let accounts: Vec<_> = (0..50)
        .map(|_| {
            let account = story.opens(Tier::Pro);
            story.buys(account, credits(1_000_000));
            account
        })
        .collect();
    for number in 0..REQUESTS {
        story.pays(accounts[number % accounts.len()], None);
    }
    world.append(&story.events).await;
    let (mut with, mut without) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        with = with.min(build(&world).await);
        world.sql("create rule nothing as on insert to read_models.journal do instead nothing");
        without = without.min(build(&world).await);
        world.sql("drop rule nothing on read_models.journal");
    }
    let size = |table: &str| {
        let sql = format!(
            "select sum(pg_total_relation_size(relid)) from projector.projection p, pg_partition_tree('read_models.{table}_' || p.version)
             where p.position > 0 and not p.live group by p.version order by p.version limit 1"
        );
        world.sql(&sql).parse::<f64>().unwrap()
    };
    let events = story.events.len() as f64;
    let log_size: f64 = world.sql("select pg_total_relation_size('ledger.events')").parse().unwrap();
    println!("without  {:>8.0} events/s", events / without.as_secs_f64());
    println!(
        "with     {:>8.0} events/s: {:.2} of it",
        events / with.as_secs_f64(),
        without.as_secs_f64() / with.as_secs_f64()
    );
    println!(
        "size     {:.0} B a request, {:.3} of the log's",
        size("journal") / REQUESTS as f64,
        size("journal") / log_size
    );
    println!("         requests have {:.0} B", size("requests") / REQUESTS as f64);
}

/// All events into a new version, in batches as the follower takes them.
async fn build(world: &World) -> Duration {
    let number: i32 = world
        .sql("set role layers_projector; select projector.create_version('2026-03-01', '2026-04-01')")
        .lines()
        .last()
        .unwrap()
        .parse()
        .unwrap();
    let live = |number| {
        world.sql("update projector.projection set live = false where live");
        world.sql(&format!("update projector.projection set live = true where version = {number}"));
    };
    live(number);
    let mut connection = world.connect().await;
    let mut version = Version::live(&mut connection).await.unwrap().unwrap();
    let begin = Instant::now();
    loop {
        let events = log::read(&mut connection, version.position, i64::MAX, 2_000).await.unwrap();
        if events.is_empty() {
            break;
        }
        version.apply(&mut connection, &Page::of(events), OnPoison::Stop).await.unwrap();
    }
    let took = begin.elapsed();
    live(1);
    took
}
