//! A short run of `make chaos`.

use std::time::Duration;

use chaos::blocking;
use chaos::run::{Course, credits, options, run};

/// A gateway sleeps past its lease while NATS loses its data, another is killed, NATS, both ledgers and the rest are struck.
const SEED: u64 = 57;
const LENGTH: Duration = Duration::from_secs(20);
const OTHERS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn twenty_seconds_of_everything_leave_the_books_right() {
    let start = || chaos::World::start(options(), credits(OTHERS));
    let mut world = blocking(start).unwrap_or_else(|error| panic!("{error:?}"));
    let course = Course { seed: SEED, length: LENGTH, others: OTHERS };
    match run(&mut world, &course).await {
        Ok(outcome) => {
            eprintln!("{}", outcome.table);
            assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
        }
        Err(error) => panic!("{error:?}"),
    }
}
