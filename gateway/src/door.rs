//! What every request meets first and every response last: who asks by address, which web pages may ask (CORS), and headers that
//! keep browsers from doing more than they are asked to.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::address::{ClientAddress, Peer};
use crate::edge::Edge;

/// Answers a browser's question for ten minutes.
const PREFLIGHT_SECONDS: &str = "600";
const METHODS: &str = "GET, POST, OPTIONS";
/// What clients need to read beside the body.
const EXPOSED: &str = "x-request-id, retry-after, x-should-retry, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, \
                       x-ratelimit-reset-requests, x-layers-model, x-layers-max-tokens-filled, x-layers-cost-credits, \
                       x-layers-idempotent-replay, x-layers-position";

/// Nothing here is a page but the console, which says for itself what it needs: what a browser shows of an answer, it neither runs nor
/// frames, nor guesses to be something else.
const ALWAYS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// The layer.
pub async fn pass(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let network = edge.network();
    let peer = request.extensions().get::<Peer>().copied();
    let client = peer.map(|peer| ClientAddress::of(peer, request.headers(), &network.trusted_proxies));
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    // An operator's key has no business in a web page, and the console's pages are no other page's.
    let path = request.uri().path();
    let is_admin = path.starts_with("/admin/") || path.starts_with("/console");
    let origin = request.headers().get(header::ORIGIN).filter(|_| !is_admin);
    let origin = origin.filter(|origin| network.cors_origins.contains(origin)).cloned();
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let is_preflight =
        *request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match &origin {
        Some(_) if is_preflight => preflight(wanted),
        _ => next.run(request).await,
    };
    let headers = response.headers_mut();
    if !network.cors_origins.is_empty() && !is_admin {
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if client.is_some_and(|client| client.tls) {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
    response
}

/// What a browser asks before it asks.
fn preflight(wanted: Option<HeaderValue>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
    // Whatever the SDK sends: headers are no secret here, and authentication is by a key that a page must know.
    headers.extend(wanted.map(|wanted| (header::ACCESS_CONTROL_ALLOW_HEADERS, wanted)));
    *response.headers_mut() = headers;
    response
}
