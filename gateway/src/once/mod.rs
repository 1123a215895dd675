//! `Idempotency-Key`: who asks the same once more under the same key gets the first answer again, from whichever gateway, and
//! pays nothing for it (docs/decisions/0012-idempotency.md). A layer around the way of a paid request; a request without
//! the header passes it by.
//!
//! | phase | what | costs |
//! |---|---|---|
//! | key | read, hashed with what is asked (`key`) | nothing |
//! | turn | one conditional insert: this request is the first under its key, or waits for the first, or gets its answer (`turn`, `store`) | one commit |
//! | run | the paid request, in a task that outlives the client (`run`) | what it costs |
//! | keep | the answer as it was given, before its last byte leaves; what was free is forgotten | one commit |

mod keep;
mod key;
mod metrics;
mod run;
mod store;
mod turn;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
pub(crate) use keep::Again;
pub use metrics::OnceMetrics;
pub use store::Answers;

use self::key::Key;
use self::store::{Claim, End};
use self::turn::{Turn, turn};
use crate::edge::Edge;
use crate::error::Error;
use crate::paid::{self, Sale};
use crate::request_id::Arrival;
use crate::till::Caller;

/// Answers a request of a route that costs money, once a key.
///
/// # Errors
/// Those of the request, and where the key is none, stands for another request or for one that runs, or cannot be looked up.
pub(crate) async fn answer(
    sale: Sale,
    edge: State<Edge>,
    arrival: Extension<Arrival>,
    caller: Extension<Caller>,
    request: Request,
) -> Result<Response, Error> {
    match Key::of(request.headers())? {
        None => paid::answer(sale, edge, arrival, caller, request).await,
        // Out of the way of those who bring none.
        Some(key) => Box::pin(under(key, sale, edge.0, arrival.0, caller.0, request)).await,
    }
}

async fn under(
    key: Key,
    sale: Sale,
    edge: Edge,
    arrival: Arrival,
    caller: Caller,
    request: Request,
) -> Result<Response, Error> {
    let answers = edge.answers().ok_or(Error::AnswersUnavailable)?;
    let (head, body) = request.into_parts();
    // A copy of the head: the body's encoding stands in it.
    let body = paid::body::read(Request::from_parts(head.clone(), body), edge.body_patience()).await?;
    let claim = Claim { account_id: caller.account_id, key, asked: key::asked(&sale, &body), request_id: arrival.id };
    let unclaimed = Unclaimed(Some((&edge, claim)));
    let turn = turn(&edge, answers, &claim).await;
    match turn {
        Ok(Turn::First) => {
            answers.metrics().first();
            let request = Request::from_parts(head, Body::from(body.clone()));
            let running = run::start(sale, &edge, arrival, caller, claim, request, &body);
            unclaimed.forget();
            running.await.unwrap_or(Err(Error::Crashed))
        }
        Ok(Turn::Again(kept)) => {
            unclaimed.forget();
            answers.metrics().replayed();
            Ok(kept.into_response())
        }
        Err(error) => {
            answers.metrics().refused(&error);
            // Where the database does not answer, the key may be claimed all the same.
            if !matches!(error, Error::AnswersUnavailable) {
                unclaimed.forget();
            }
            Err(error)
        }
    }
}

/// A claim of which is not known whether it holds. Dropped, as it is where the client leaves meanwhile, it is taken back:
/// nothing runs under it, and nobody is to wait for that.
struct Unclaimed<'a>(Option<(&'a Edge, Claim)>);

impl Unclaimed<'_> {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Unclaimed<'_> {
    fn drop(&mut self) {
        if let Some((edge, claim)) = self.0.take() {
            store::end_later(edge, claim, End::Free);
        }
    }
}
