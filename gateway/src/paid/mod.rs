//! Every request that costs money goes this way, whichever route it came on. How the routes differ is what a [`Route`] says;
//! all of it is pure. In the order in which a request meets it:
//!
//! | phase | what | costs |
//! |---|---|---|
//! | door | refused where too many wait already | nothing |
//! | read | the body, checked as OpenAI checks it ([`Route::read`]), the model found | no waiting once the body is here |
//! | bound | the most that it can use and cost (`bound`) | nothing; the first time the ledger's word on the credits |
//! | rewrite | the upstream body, the client's own bytes (`rewrite`) | a copy where something changes |
//! | authorize | the hold, acknowledged | one acknowledgement |
//! | answer | `whole` or `stream`, in a task that outlives the client; `asking` says who is asked | the provider |
//! | settle | usage and deduction acknowledged before the last byte leaves | one acknowledgement |

#[cfg(test)]
mod any_stream;
mod ask;
mod asking;
pub(crate) mod body;
mod bound;
mod channel;
mod cost;
mod course;
mod ending;
mod fallbacks;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod fuzz;
mod image_tokens;
#[cfg(feature = "measured")]
pub(crate) mod measured;
mod order;
mod rewrite;
mod route;
mod said;
#[cfg(any(test, feature = "fuzz", feature = "measured"))]
mod sample;
mod sold;
mod stream;
mod whole;

use std::sync::Arc;

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

use self::asking::Asking;
use self::order::{Order, Sent};
use self::sold::Sold;
use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::models;
use crate::request_id::Arrival;
use crate::till::{Caller, Settling, ToAuthorize};
use crate::upstream::{Api, Nobody, ToAsk, Turn, Upstreams};

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
    edge.till().take_more().map_err(|refused| Error::of_refusal(refused, "", |_| None))?;
    let passed_on = passed_on(route, request.headers());
    let body = body::read(request, edge.body_patience()).await?;
    let text = std::str::from_utf8(&body).map_err(|_| Invalid::unparseable())?;
    let ask = route.read(text)?;
    edge.message_limits().check(caller.tier, route.words().prompt, ask.reads.messages, ask.reads.longest)?;

    let book = edge.till().prices();
    let model = models::for_route(&book, &ask.model, route).map_err(|error| route.unknown_model(error))?;
    check_fit(&ask, model, route)?;
    let others = fallbacks::models(&book, &ask, model, &caller, route)?;

    let credits = match ask.writes.limit {
        Limit::None | Limit::Named(_) => None,
        Limit::Unnamed => {
            let available = edge
                .till()
                .available(&caller)
                .await
                .map_err(|refused| Error::of_refusal(refused, &model.id, |_| None))?;
            Some((available, edge.max_credits_per_request()))
        }
    };
    let sold = |model: &Model| Sold::new(&book, &ask, model, credits);
    let first = sold(model);
    let mut others: Vec<(Sold, &Model)> = others.into_iter().map(|model| (sold(model), model)).collect();
    let (hold, bounds) = fallbacks::dearest(&book, (&first, model), &others);
    let fallbacks = others.iter().map(|(sold, _)| sold.model.clone()).collect();
    let upstreams = edge.upstreams(&caller)?;
    if !others.is_empty() || upstreams.all().len() > 1 {
        upstreams.requested();
    }
    let (turn, first) = first_turn(upstreams, route.api(), first, &mut others)
        .map_err(|nobody| Error::of_nobody(nobody, caller.livemode))?;

    let order = Order {
        route,
        request_id: arrival.id,
        api_key_id: caller.api_key_id,
        book: book.clone(),
        sold: first,
        turned: false,
        to_ask: ToAsk { connection: turn.upstream().connection().clone(), api: route.api(), headers: passed_on },
        streamed: ask.stream,
        include_usage: ask.include_usage,
        tells_layers: sale.tells_layers,
        sent: Sent {
            text_bytes: bound::text_bytes(&ask),
            tokens: ask.reads.tokens,
            images: ask.reads.images + ask.reads.low_images,
        },
        finish: ask.finish,
        arrived: arrival.at,
        until: arrival.at + edge.longest_answer(),
    };
    let id = turn.upstream().model_id(&order.sold.model);
    let upstream_body = rewrite::upstream_body(&body, route, &ask, id, order.sold.filled);
    let told = headers(&ask.model, &order.sold);

    let to_authorize = ToAuthorize {
        request_id: arrival.id,
        kind: route.kind(),
        model: model.id.clone(),
        fallbacks,
        upstream: order.to_ask.connection.name().to_owned(),
        streamed: order.streamed,
        hold,
        bounds,
        price_version: book.version,
        arrived: arrival.at,
    };
    let affordable = |available| {
        let all = std::iter::once(model).chain(others.iter().map(|(_, model)| *model));
        let limits: Option<Vec<u64>> = all.map(|model| bound::affordable(&book, model, &ask, available)).collect();
        Some((route.words().limit, limits?.into_iter().min()?))
    };
    let hold = edge.till().authorize(&caller, to_authorize).await;
    let hold = hold.map_err(|refused| Error::of_refusal(refused, &model.id, affordable))?;

    let others = others.into_iter().map(|(sold, _)| sold).collect();
    let Ask { model: asked, .. } = ask;
    let asking = Asking::new(turn, upstream_body, body, others);
    let (mut response, other) = if order.streamed {
        stream::begin(&edge, order, hold, asking).await?
    } else {
        whole::answer(&edge, order, hold, asking).await?
    };
    response.headers_mut().extend(other.map_or(told, |sold| headers(&asked, &sold)));
    Ok(response)
}

/// Whose turn it is: of the first model, where anybody can be asked for it, else of those that may stand in for it.
fn first_turn(
    upstreams: &Arc<Upstreams>,
    api: Api,
    first: Sold,
    others: &mut Vec<(Sold, &Model)>,
) -> Result<(Turn, Sold), Nobody> {
    let nobody = match upstreams.first(&first.model, api) {
        Ok(turn) => return Ok((turn, first)),
        Err(nobody) => nobody,
    };
    while !others.is_empty() {
        let (sold, _) = others.remove(0);
        if let Ok(turn) = upstreams.first(&sold.model, api) {
            return Ok((turn, sold));
        }
    }
    Err(nobody)
}

/// Refuses what the model cannot take, so that nothing is held or asked for it.
fn check_fit(ask: &Ask<'_>, model: &Model, route: &dyn Route) -> Result<(), Error> {
    let can = |capability: &str| model.capabilities.iter().any(|known| known == capability);
    let cannot = |what: &str| {
        let message = format!("The model `{}` does not take {what}.", model.id);
        Err(Error::Invalid(Invalid::new("invalid_value", route.words().prompt, message)))
    };
    if ask.reads.images + ask.reads.low_images > 0 && !can("vision") {
        return cannot("images");
    }
    if ask.reads.files > 0 && !(can("pdf") && model.context_window.is_some()) {
        return cannot("files");
    }
    route.check_model(ask, model)
}

/// Those of the client's headers that its provider is to see.
fn passed_on(route: &dyn Route, headers: &HeaderMap) -> HeaderMap {
    let known = route.passed_on().iter();
    known.filter_map(|name| Some((name.clone(), headers.get(name)?.clone()))).collect()
}

fn headers(asked: &str, sold: &Sold) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if asked != sold.model
        && let Ok(id) = HeaderValue::from_str(&sold.model)
    {
        headers.insert(MODEL, id);
    }
    if let Some(limit) = sold.filled {
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
