//! The first request under a key: it runs in a task of its own, so that its answer is kept whether or not its client is still
//! there.
//!
//! | it ends with | kept is | the next one under the key |
//! |---|---|---|
//! | an answer, whole or streamed | the answer, before its last byte leaves | gets it |
//! | an error that cost something | the error, or the stream with it at its end | gets it |
//! | an error that cost nothing | nothing | runs |
//! | its client leaving a stream | what was delivered, and an error event | gets that |
//! | the same before there was anything, or our own crash | the claim, until the books say how it ended | runs if it was free |

use std::time::{Duration, Instant};

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout_at};

use super::keep::{self, Kept, Recording};
use super::store::{self, Claim, End};
use crate::config::OnDisconnect;
use crate::edge::Edge;
use crate::error::{Charged, Error};
use crate::paid::{self, Ending, Sale};
use crate::request_id::Arrival;
use crate::till::Caller;

/// A request ends by itself; beyond its longest time it may still be settled for so long.
const TO_SETTLE: Duration = Duration::from_secs(60);

struct First {
    sale: Sale,
    edge: Edge,
    claim: Claim,
    /// By then it has ended by itself.
    until: tokio::time::Instant,
    /// Its client waits here, as long as it is there.
    reply: oneshot::Sender<Result<Response, Error>>,
}

/// Starts it; its client waits for what comes.
pub(super) fn start(
    sale: Sale,
    edge: &Edge,
    arrival: Arrival,
    caller: Caller,
    claim: Claim,
    request: Request,
    body: &[u8],
) -> oneshot::Receiver<Result<Response, Error>> {
    let (reply, replied) = oneshot::channel();
    let until = (arrival.at + edge.longest_answer() + TO_SETTLE).into();
    let first = First { sale, edge: edge.clone(), claim, until, reply };
    // A whole answer is fetched in any case; a stream is not begun for nobody.
    let stops = wants_stream(body) && edge.on_disconnect() == OnDisconnect::Stop;
    let asking = paid::answer(sale, State(edge.clone()), Extension(arrival), Extension(caller), request);
    edge.till().track().spawn(first.run(asking, stops));
    replied
}

impl First {
    async fn run(mut self, asking: impl Future<Output = Result<Response, Error>>, stops: bool) {
        let answered = tokio::select! {
            biased;
            answered = asking => answered,
            // What is charged for it, the books say.
            () = self.reply.closed(), if stops => return,
        };
        match answered {
            Ok(response) if keep::is_stream(response.headers()) => self.stream(response).await,
            Ok(response) => self.whole(response).await,
            Err(error) => self.fail(error).await,
        }
    }

    async fn fail(self, error: Error) {
        let end = match error.charged() {
            Charged::No => End::Free,
            Charged::Yes => {
                let response = error.clone().into_response();
                let body = self.sale.route.dialect().body(&error.face(), &self.claim.request_id);
                End::Answer(Kept {
                    request_id: self.claim.request_id,
                    status: response.status().as_u16(),
                    headers: keep::headers(response.headers()),
                    body: body.into(),
                })
            }
            Charged::Unknown => return drop(self.reply.send(Err(error))),
        };
        end_then(&self.edge, self.claim, end, || drop(self.reply.send(Err(error)))).await;
    }

    async fn whole(self, response: Response) {
        let (head, body) = response.into_parts();
        let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
            return drop(self.reply.send(Err(Error::Crashed)));
        };
        let kept = Kept {
            request_id: self.claim.request_id,
            status: head.status.as_u16(),
            headers: keep::headers(&head.headers),
            body: body.clone(),
        };
        let end = match kept.body.len() > self.edge.once_limits().largest {
            true => End::NotKept(kept),
            false => End::Answer(kept),
        };
        let response = Response::from_parts(head, Body::from(body));
        end_then(&self.edge, self.claim, end, || drop(self.reply.send(Ok(response)))).await;
    }

    async fn stream(self, response: Response) {
        let Self { sale, edge, claim, until, reply } = self;
        let ending = response.extensions().get::<Ending>().cloned().unwrap_or_default();
        let (status, headers) = (response.status().as_u16(), keep::headers(response.headers()));
        let (head, body) = response.into_parts();
        let (client, channel) = paid::channel();
        // Gone already: the channel's end is, too.
        drop(reply.send(Ok(Response::from_parts(head, Body::new(channel)))));
        let mut recording = Recording::new(edge.once_limits().largest);
        let left = pass(body, &client, &mut recording, &ending, edge.on_disconnect(), until).await;
        let left = left && ending.charged() == Charged::Unknown;
        if left {
            let event = sale.route.dialect().stream_error(
                &Error::AnswerIncomplete.face(),
                &claim.request_id,
                recording.events(),
            );
            recording.push(event.as_bytes());
        }
        // A stream that is left is charged for what was delivered.
        let charged = if left { Charged::Yes } else { ending.charged() };
        let kept = |body| Kept { request_id: claim.request_id, status, headers, body };
        let end = match (charged, recording.end()) {
            (Charged::Unknown, _) => return,
            (Charged::No, _) => End::Free,
            (Charged::Yes, Some(body)) => End::Answer(kept(body)),
            (Charged::Yes, None) => End::NotKept(kept(Bytes::new())),
        };
        end_then(&edge, claim, end, || drop(client)).await;
    }
}

/// Passes a stream on to its client and records it. Whether its client left, and was not waited for any longer.
async fn pass(
    mut body: Body,
    client: &mpsc::Sender<Bytes>,
    recording: &mut Recording,
    ending: &Ending,
    policy: OnDisconnect,
    mut until: tokio::time::Instant,
) -> bool {
    let mut gone = false;
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => Some(frame),
            () = client.closed(), if !gone => None,
            () = sleep_until(until) => return true,
        };
        let heard = match frame {
            Some(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => {
                    recording.push(&data);
                    gone || timeout_at(until, client.send(data)).await.is_ok_and(|sent| sent.is_ok())
                }
                Err(_) => true,
            },
            Some(_) => return false,
            None => false,
        };
        if !heard {
            gone = true;
            match policy {
                // Many leave with the last event, and do not wait for the end of the body.
                _ if ending.is_near() => {}
                OnDisconnect::Stop => return true,
                OnDisconnect::Drain(limit) => until = until.min((Instant::now() + limit).into()),
            }
        }
    }
}

/// Writes down how it ended, then lets the answer go: when a client has it, it is kept. If the database is away it goes all the
/// same, since it is paid for, and is kept as soon as that can be done.
async fn end_then(edge: &Edge, claim: Claim, end: End, let_go: impl FnOnce()) {
    let Some(answers) = edge.answers() else { return let_go() };
    if matches!(end, End::NotKept(_)) {
        answers.metrics().unkept();
    }
    let ended = answers.end(&claim, &end, edge.once_limits().keep).await;
    let_go();
    if ended.is_err() {
        store::end_later(edge, claim, end);
    }
}

/// Whether a body asks for a stream, as far as it can be read.
fn wants_stream(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Wants {
        #[serde(default)]
        stream: Option<bool>,
    }
    serde_json::from_slice::<Wants>(body).is_ok_and(|wants| wants.stream == Some(true))
}
