//! Months come while people read.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use schemas::tier::Tier;

use crate::kit::{Story, World, credits};

#[tokio::test(flavor = "multi_thread")]
async fn months_are_added_and_no_reader_misses_a_row() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(1_000));
    for _ in 0..100 {
        story.pays(account, None);
    }
    world.append(&story.events).await;
    // Their month has no partition, so they lie in the default one, the last in the order of bounds.
    world.project(2_000).await;
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let reader = async || {
        let mut connection = world.connect_as("layers_analyst").await;
        while !stop.load(Ordering::Relaxed) {
            // Planned anew each time, as psql and most tools do.
            let query = sqlx::query_scalar("select count(*) from usage_logs").persistent(false);
            let rows: i64 = query.fetch_one(&mut connection).await.unwrap();
            assert_eq!(rows, 100, "after {} reads", reads.load(Ordering::Relaxed));
            reads.fetch_add(1, Ordering::Relaxed);
        }
    };
    let months = async {
        let mut projector = world.connect().await;
        for round in 0..60 {
            let year = 1990 + round % 30;
            sqlx::query("select projector.ensure_months(1, make_timestamptz($1, 4, 1, 0, 0, 0, 'UTC'), make_timestamptz($1, 6, 1, 0, 0, 0, 'UTC'))")
                .bind(year)
                .execute(&mut projector)
                .await
                .unwrap();
            if round % 30 == 29 {
                world.sql(&(1990..2020).map(|year| format!("drop table read_models.requests_1_{year}_04, read_models.requests_1_{year}_05, read_models.requests_1_{year}_06;")).collect::<String>());
            }
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(reader(), reader(), reader(), months);
    assert!(reads.load(Ordering::Relaxed) > 100);
}
