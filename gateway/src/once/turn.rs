//! Whose turn it is under a key.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::keep::Kept;
use super::store::{Answers, Claim, Fate, Found};
use crate::edge::Edge;
use crate::error::Error;

/// Between two looks at a request that runs: shorter in the beginning.
const LOOKS: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(500));
/// What is told to wait where the first request still runs: an answer takes seconds.
const COME_AGAIN: Duration = Duration::from_secs(5);
/// An answer is kept within moments of its charge, unless its client is slow to take a stream. If it is not there when a waiting
/// request has waited and so much more time is over, it will not come.
const TO_BE_KEPT: Duration = Duration::from_secs(10);
/// A request that ran for less than this is not looked for in the books: its gateway lives, most likely.
const PATIENCE_WITH_A_GATEWAY: Duration = Duration::from_secs(2);

/// What comes of a request with a key.
pub(super) enum Turn {
    /// It is the first, and runs.
    First,
    /// It was answered before.
    Again(Kept),
}

/// Claims the key, or waits a bounded time for the request that has it.
pub(super) async fn turn(edge: &Edge, answers: &Answers, claim: &Claim) -> Result<Turn, Error> {
    let limits = edge.once_limits();
    let until = Instant::now() + limits.wait;
    // No request runs for longer, and the ledger has ended it by then; a minute for their clocks and its queue.
    let surely_over = edge.till().request_limit() + Duration::from_secs(60);
    let mut pause = LOOKS.0;
    loop {
        let (first, since) = match answers.claim(claim, surely_over.max(limits.keep)).await? {
            Found::Nothing => return Ok(Turn::First),
            Found::Another => return Err(Error::KeyReused),
            Found::Answer(kept) => return Ok(Turn::Again(kept)),
            Found::NotKept(first) => return Err(Error::AnswerGone { first }),
            Found::Running { request_id, since } => (request_id, since),
        };
        if since > PATIENCE_WITH_A_GATEWAY {
            let fate = answers.in_the_books(claim, first).await?.fate(since, surely_over, limits.wait + TO_BE_KEPT);
            match fate {
                Fate::Running => {}
                Fate::Lost => return Err(Error::AnswerGone { first }),
                Fate::Free => {
                    if answers.take_over(claim, first).await? {
                        return Ok(Turn::First);
                    }
                    continue;
                }
            }
        }
        if Instant::now() + pause > until {
            return Err(Error::KeyInUse { retry_after: COME_AGAIN });
        }
        sleep(pause).await;
        pause = (pause * 2).min(LOOKS.1);
    }
}
