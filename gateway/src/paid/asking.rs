//! Who is asked for an answer, and who instead where that one fails before it has begun to answer.

use std::time::Duration;
use std::vec::IntoIter;

use bytes::Bytes;

use super::order::Order;
use super::rewrite;
use super::sold::Sold;
use crate::till::Hold;
use crate::upstream::{Answering, Failure, Turn};

/// Nobody is asked again who could not answer in time.
const LEAST_LEFT: Duration = Duration::from_secs(1);

/// The way of one request through upstreams and models.
pub(super) struct Asking {
    turn: Turn,
    /// The body for the upstream whose turn it is.
    body: Bytes,
    /// The client's own body, of which the others are made.
    original: Bytes,
    /// Models that may answer instead, in the client's order.
    others: IntoIter<Sold>,
}

impl Asking {
    pub(super) fn new(turn: Turn, body: Bytes, original: Bytes, others: Vec<Sold>) -> Self {
        Self { turn, body, original, others: others.into_iter() }
    }

    /// Asks until somebody answers; what was ordered then says who that is. An answer that has begun is never asked for again,
    /// and neither is one that might be billed twice.
    ///
    /// # Errors
    /// When nobody does: of all failures the one that says most to the client.
    pub(super) async fn answer(&mut self, hold: &Hold, order: &mut Order) -> Result<Answering, Failure> {
        let mut told: Option<Failure> = None;
        loop {
            self.turn.asked();
            let body = std::mem::take(&mut self.body);
            let asked = self.turn.upstream().client().ask(hold, &order.to_ask, body, order.until).await;
            let failure = match asked {
                Ok(answering) => {
                    self.turn.answered();
                    self.original = Bytes::new();
                    return Ok(answering);
                }
                Err(failure) => failure,
            };
            self.turn.failed(&failure);
            let goes_on = self.turn_to_the_next(&failure, order);
            let words = failure.words();
            let failure = match told {
                Some(told) => told.or(failure),
                None => failure,
            };
            if !goes_on {
                return Err(failure);
            }
            let (model, upstream) = (&order.sold.model, order.to_ask.connection.name());
            tracing::info!(request.id = %order.request_id, upstream, model, because = words, "upstream.fallback");
            told = Some(failure);
        }
    }

    /// An answer that had begun did not come to its end.
    pub(super) fn broke(&self) {
        self.turn.broke();
    }

    fn turn_to_the_next(&mut self, failure: &Failure, order: &mut Order) -> bool {
        if order.left() < LEAST_LEFT {
            return false;
        }
        let api = order.to_ask.api;
        self.turn = match self.turn.next(failure, &order.sold.model, api) {
            Some(turn) => turn,
            None if !self.turn.lets_another_model_try(failure) => return false,
            None => loop {
                let Some(sold) = self.others.next() else { return false };
                if let Some(turn) = self.turn.next_model(failure, &sold.model, api) {
                    (order.sold, order.turned) = (sold, true);
                    break turn;
                }
            },
        };
        order.to_ask.connection = self.turn.upstream().connection().clone();
        match self.rewritten(order) {
            Some(body) => {
                self.body = body;
                true
            }
            None => false,
        }
    }

    /// The client's body for whose turn it is now. It was read before, so it can be read.
    fn rewritten(&self, order: &Order) -> Option<Bytes> {
        let ask = order.route.read(std::str::from_utf8(&self.original).ok()?).ok()?;
        let model = self.turn.upstream().model_id(&order.sold.model);
        Some(rewrite::upstream_body(&self.original, order.route, &ask, model, order.sold.filled))
    }
}
