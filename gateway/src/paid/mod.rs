//! Every request that costs money goes this way, whichever route it came on. How the routes differ is what a [`Route`] says;
//! all of it is pure. In the order in which a request meets it:
//!
//! | phase | what | costs |
//! |---|---|---|
//! | read | the body, checked as OpenAI checks it ([`Route::read`]), the model found | no waiting once the body is here |
//! | bound | the most that it can use and cost (`bound`) | nothing; the first time the ledger's word on the credits |
//! | rewrite | the upstream body, the client's own bytes (`rewrite`) | a copy where something changes |
//! | authorize | the hold, acknowledged | one acknowledgement |
//! | answer | `whole` or `stream`, in a task that outlives the client | the provider |
//! | settle | usage and deduction acknowledged before the last byte leaves | one acknowledgement |

#[cfg(test)]
mod any_stream;
mod ask;
pub(crate) mod body;
mod bound;
mod channel;
mod cost;
mod course;
mod ending;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod image_tokens;
mod order;
mod rewrite;
mod route;
mod said;
#[cfg(any(test, feature = "fuzz"))]
mod sample;
mod stream;
mod whole;

pub(crate) use ask::{Ask, Finish, Limit, Reads, Writes};
use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
pub(crate) use body::LIMIT as BODY_LIMIT;
use bytes::Bytes;
pub(crate) use channel::channel;
pub(crate) use ending::Ending;
pub(crate) use route::{Route, Words};
pub(crate) use said::{Delivered, Said, Stage, length};
use schemas::price_book::Model;

use self::order::{Order, Sent};
use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::models;
use crate::request_id::Arrival;
use crate::till::{Caller, Settling, ToAuthorize};
use crate::upstream::ToAsk;

/// The model that answers, where it is not the one that was asked by its full name.
const MODEL: HeaderName = HeaderName::from_static("x-layers-model");
/// The output limit that was filled in for a client that named none.
const FILLED: HeaderName = HeaderName::from_static("x-layers-max-tokens-filled");
/// What a whole answer cost, credits.
const COST: HeaderName = HeaderName::from_static("x-layers-cost-credits");

/// What is sold under a path.
#[derive(Clone, Copy)]
pub(crate) struct Sale {
    /// How.
    pub(crate) route: &'static dyn Route,
    /// Whether whole answers carry `layers`, as those of the original did.
    pub(crate) tells_layers: bool,
}

/// Answers a request of a route.
///
/// # Errors
/// Every way in which it can be refused or fail, see [`Error`].
pub(crate) async fn answer(
    sale: Sale,
    State(edge): State<Edge>,
    Extension(arrival): Extension<Arrival>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Error> {
    let route = sale.route;
    let passed_on = passed_on(route, request.headers());
    let body = body::read(request, edge.body_patience()).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Invalid::unparseable())?;
    let ask = route.read(text)?;
    edge.message_limits().check(caller.tier, route.words().prompt, ask.reads.messages, ask.reads.longest)?;

    let book = edge.till().prices();
    let model = models::for_route(&book, &ask.model, route).map_err(|error| route.unknown_model(error))?;
    check_fit(&ask, model, route.words())?;
    route.check_model(&ask, model)?;
    let connection = edge.connection(&caller)?.clone();

    let filled = match ask.writes.limit {
        Limit::None | Limit::Named(_) => None,
        Limit::Unnamed => {
            let available = edge
                .till()
                .available(&caller)
                .await
                .map_err(|refused| Error::of_refusal(refused, &model.id, |_| None))?;
            Some(bound::fill(&book, model, &ask, available, edge.max_credits_per_request()))
        }
    };
    let limit = match ask.writes.limit {
        Limit::None => 0,
        Limit::Named(limit) => limit,
        Limit::Unnamed => filled.unwrap_or(1),
    };
    let bounds = bound::with_output(bound::without_output(&book, &ask, model), &ask, limit);
    let upstream_body = rewrite::upstream_body(&body, route, &ask, &model.id, filled);
    let headers = headers(&ask, model, filled);
    let order = Order {
        route,
        request_id: arrival.id,
        api_key_id: caller.api_key_id,
        book: book.clone(),
        model: model.id.clone(),
        provider: model.provider.clone(),
        to_ask: ToAsk { connection, api: route.api(), headers: passed_on },
        streamed: ask.stream,
        include_usage: ask.include_usage,
        tells_layers: sale.tells_layers,
        bounds,
        searches: bound::searches(model),
        images_charged: model.per_image.is_some(),
        by_token: model.prices.input.is_some(),
        sent: Sent {
            text_bytes: bound::text_bytes(&ask),
            tokens: ask.reads.tokens,
            images: ask.reads.images + ask.reads.low_images,
        },
        finish: ask.finish,
        arrived: arrival.at,
        until: arrival.at + edge.longest_answer(),
    };

    let to_authorize = ToAuthorize {
        request_id: arrival.id,
        kind: route.kind(),
        model: order.model.clone(),
        upstream: order.to_ask.connection.name().to_owned(),
        streamed: order.streamed,
        hold: bound::hold(&book, model, &bounds),
        bounds,
        price_version: book.version,
        arrived: arrival.at,
    };
    let affordable = |available| {
        let limit = bound::affordable(&book, model, &ask, available)?;
        Some((route.words().limit, limit))
    };
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
fn check_fit(ask: &Ask<'_>, model: &Model, words: &Words) -> Result<(), Invalid> {
    let can = |capability: &str| model.capabilities.iter().any(|known| known == capability);
    let cannot = |what: &str| {
        let message = format!("The model `{}` does not take {what}.", model.id);
        Err(Invalid::new("invalid_value", words.prompt, message))
    };
    if ask.reads.images + ask.reads.low_images > 0 && !can("vision") {
        return cannot("images");
    }
    if ask.reads.files > 0 && !(can("pdf") && model.context_window.is_some()) {
        return cannot("files");
    }
    Ok(())
}

/// Those of the client's headers that its provider is to see.
fn passed_on(route: &dyn Route, headers: &HeaderMap) -> HeaderMap {
    let known = route.passed_on().iter();
    known.filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
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
