//! A request that is being answered, for those who look at streams without a gateway around them.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use schemas::ids::RequestId;
use schemas::money::Nanocredits;
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, PriceBook};
use schemas::rate::Bounds;

use super::bound;
use super::order::{Order, Sent};
use super::route::Route;
use super::sold::Sold;
use crate::upstream::{Connection, ToAsk};

/// The model that is asked.
const MODEL: &str = "anthropic/claude-haiku-4.5";

/// The first price book.
pub(super) fn book() -> Arc<PriceBook> {
    static BOOK: LazyLock<Arc<PriceBook>> = LazyLock::new(|| {
        Arc::new(
            PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).expect("the committed catalogue is one"),
        )
    });
    BOOK.clone()
}

/// A streamed request of a route, for which so many bytes were sent to the model, and its hold.
pub(super) fn order(route: &'static dyn Route, streamed_bytes: u64) -> (Order, Nanocredits) {
    let book = book();
    let base = "http://localhost/v1".parse().expect("an address");
    let connection = Connection::new("test", &base, "vck_secret").expect("a connection");
    let bounds = Bounds { input_tokens: 100, output_tokens: 50, images: 0, searches: 0 };
    let hold = bound::hold(&book, &book.models[MODEL], &bounds);
    let now = Instant::now();
    let order = Order {
        route,
        request_id: RequestId(uuid::Uuid::nil()),
        api_key_id: None,
        book,
        sold: Sold {
            model: MODEL.into(),
            provider: "anthropic".into(),
            bounds,
            searches: 0,
            images_charged: false,
            by_token: true,
            filled: None,
        },
        turned: false,
        to_ask: ToAsk { connection, api: route.api(), headers: axum::http::HeaderMap::new() },
        streamed: true,
        include_usage: false,
        tells_layers: false,
        sent: Sent { text_bytes: streamed_bytes, tokens: 0, images: 0 },
        finish: None,
        arrived: now,
        until: now + Duration::from_secs(60),
    };
    (order, hold)
}
