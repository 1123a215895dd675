//! `POST /v1/chat/completions`, in the order in which a request meets it:
//!
//! | phase | what | costs |
//! |---|---|---|
//! | read | the body, checked as OpenAI checks it (`ask`), the model found | no waiting once the body is here |
//! | bound | the most that it can use and cost (`bound`) | nothing; the first time the ledger's word on the credits |
//! | rewrite | the upstream body, the client's own bytes (`rewrite`) | a copy where something changes |
//! | authorize | the hold, acknowledged | one acknowledgement |
//! | answer | `whole` or `stream`, in a task that outlives the client | the provider |
//! | settle | usage and deduction acknowledged before the last byte leaves | one acknowledgement |

mod answer;
mod ask;
pub(crate) mod body;
mod bound;
mod channel;
mod closed;
mod cost;
mod course;
mod image;
mod order;
mod prompt;
mod rewrite;
mod stream;
mod value;
mod whole;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
pub use body::LIMIT as BODY_LIMIT;
use bytes::Bytes;
use schemas::event::RequestKind;
use schemas::price_book::Model;

use self::ask::Ask;
use self::order::Order;
use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::models;
use crate::request_id::Arrival;
use crate::till::{Caller, Settling, ToAuthorize};

/// The model that answers, where it is not the one that was asked by its full name.
const MODEL: HeaderName = HeaderName::from_static("x-layers-model");
/// The output limit that was filled in for a client that named none.
const FILLED: HeaderName = HeaderName::from_static("x-layers-max-tokens-filled");
/// What a whole answer cost, credits.
const COST: HeaderName = HeaderName::from_static("x-layers-cost-credits");

/// Answers a chat completion.
///
/// # Errors
/// Every way in which it can be refused or fail, see [`Error`].
pub async fn complete(
    State(edge): State<Edge>,
    Extension(arrival): Extension<Arrival>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Error> {
    let body = body::read(request).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Invalid::unparseable())?;
    let ask = Ask::read(text)?;

    let book = edge.till().prices();
    let model = models::for_chat(&book, &ask.model)?;
    check_fit(&ask, model)?;
    let connection = edge.connection(&caller)?.clone();

    let filled = match ask.output_limit {
        Some(_) => None,
        None => {
            let available = edge
                .till()
                .available(&caller)
                .await
                .map_err(|refused| Error::of_refusal(refused, &model.id, |_| None))?;
            Some(bound::fill(&book, model, &ask, available, edge.max_credits_per_request()))
        }
    };
    let limit = ask.output_limit.or(filled).unwrap_or(1);
    let bounds = bound::with_output(bound::without_output(&book, &ask, model), &ask, limit);
    let upstream_body = rewrite::upstream_body(&body, &ask, &model.id, filled);
    let headers = headers(&ask, model, filled);
    let order = Order {
        api_key_id: caller.api_key_id,
        book: book.clone(),
        model: model.id.clone(),
        provider: model.provider.clone(),
        connection,
        streamed: ask.stream,
        include_usage: ask.include_usage,
        bounds,
        searches: bound::searches(model),
        images_charged: model.per_image.is_some(),
        sent_bytes: text.len() as u64 - ask.prompt.image_bytes,
        sent_images: ask.prompt.images + ask.prompt.low_images,
        arrived: arrival.at,
        until: arrival.at + edge.longest_answer(),
    };

    let to_authorize = ToAuthorize {
        request_id: arrival.id,
        kind: RequestKind::Chat,
        model: order.model.clone(),
        upstream: order.connection.name().to_owned(),
        streamed: order.streamed,
        hold: bound::hold(&book, model, &bounds),
        bounds,
        price_version: book.version,
        arrived: arrival.at,
    };
    let affordable = |available| bound::affordable(&book, model, &ask, available);
    let hold = edge.till().authorize(&caller, to_authorize).await;
    let hold = hold.map_err(|refused| Error::of_refusal(refused, &model.id, affordable))?;

    let mut response = if order.streamed {
        stream::begin(&edge, order, hold, upstream_body).await?
    } else {
        whole::answer(&edge, order, hold, upstream_body).await?
    };
    response.headers_mut().extend(headers);
    Ok(response)
}

/// Refuses what the model cannot take, so that nothing is held or asked for it.
fn check_fit(ask: &Ask<'_>, model: &Model) -> Result<(), Invalid> {
    let can = |capability: &str| model.capabilities.iter().any(|known| known == capability);
    let cannot = |what: &str| {
        let message = format!("The model `{}` does not take {what}.", model.id);
        Err(Invalid::new("invalid_value", "messages", message))
    };
    if ask.prompt.images + ask.prompt.low_images > 0 && !can("vision") {
        return cannot("images");
    }
    if ask.prompt.files > 0 && !(can("pdf") && model.context_window.is_some()) {
        return cannot("files");
    }
    Ok(())
}

fn headers(ask: &Ask<'_>, model: &Model, filled: Option<u64>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if ask.model != model.id
        && let Ok(id) = HeaderValue::from_str(&model.id)
    {
        headers.insert(MODEL, id);
    }
    if let Some(limit) = filled {
        headers.insert(FILLED, HeaderValue::from(limit));
    }
    headers
}

/// Why a hold is released at a stop.
const STOPPED: &str = "the gateway stopped before the answer ended";

/// A settlement runs to its end by itself; nobody waits for this one.
fn on_its_own(_: Settling) {}

/// The body of a response in JSON.
fn json(body: Bytes) -> Response {
    let mut response = Response::new(axum::body::Body::from(body));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, json);
    response
}
