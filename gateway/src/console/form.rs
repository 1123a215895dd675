//! Forms that change something: only from a page of our own (the browser says where from), and only with the session's token.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, Limited};

use super::answer::Refusal;
use super::visitor::Visitor;
use crate::edge::Edge;

/// The name of the token's field.
pub(super) const TOKEN: &str = "token";

/// Anybody may send one, so it is small and soon there.
const LARGEST: usize = 16 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// What was filled in.
pub(super) struct Form(HashMap<String, String>);

impl Form {
    /// Reads a form that was sent from a page of the same origin.
    pub(super) async fn read(State(edge): State<Edge>, request: Request) -> Result<Self, Refusal> {
        if !is_same_origin(request.headers()) {
            return Err(Refusal::Forbidden("This form was not sent from a page of this console."));
        }
        let whole = Limited::new(request.into_body(), LARGEST).collect();
        let body = tokio::time::timeout(edge.body_patience().min(PATIENCE), whole).await;
        let body = body.ok().and_then(Result::ok).ok_or(Refusal::Forbidden("This form did not come whole."))?;
        Ok(Self(form_urlencoded::parse(&body.to_bytes()).into_owned().collect()))
    }

    /// The same with the token of the visitor's session.
    pub(super) async fn of(edge: &Edge, visitor: &Visitor, request: Request) -> Result<Self, Refusal> {
        let form = Self::read(State(edge.clone()), request).await?;
        let good = edge
            .console()
            .is_some_and(|console| console.seal.is_token(&visitor.session, form.text(TOKEN).unwrap_or_default()));
        if !good {
            return Err(Refusal::Forbidden(
                "This form is not of your session. Go back, reload the page and try again.",
            ));
        }
        Ok(form)
    }

    /// A field, without the space round it; `None` where it is empty or absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|text| text.trim()).filter(|text| !text.is_empty())
    }
}

/// Whether a browser sent this from a page of ours. What a browser of today says itself is believed first; an older one names the
/// origin. What says neither is no browser that a form was filled in with.
fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin";
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let from = origin.and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    host.is_some_and(|host| !host.is_empty())
        && from.zip(host).is_some_and(|(from, host)| from.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn only_a_page_of_the_same_origin_sends_forms() {
        let from = |pairs: &[(&'static str, &'static str)]| {
            let pair = |(name, value): &(&'static str, &'static str)| {
                (HeaderName::from_static(name), HeaderValue::from_static(value))
            };
            is_same_origin(&pairs.iter().map(pair).collect())
        };
        assert!(from(&[("host", "a.example"), ("origin", "https://a.example")]));
        assert!(from(&[("host", "a.example:8080"), ("origin", "http://a.example:8080")]));
        assert!(from(&[("host", "a.example"), ("sec-fetch-site", "same-origin"), ("origin", "null")]));
        for strange in [
            &[][..],
            &[("host", "a.example")],
            &[("host", "a.example"), ("origin", "null")],
            &[("host", "a.example"), ("origin", "https://b.example")],
            &[("host", "a.example"), ("origin", "https://a.example.b.example")],
            &[("host", "a.example"), ("origin", "https://a.example:444")],
            &[("host", "a.example"), ("origin", "https://a.example"), ("sec-fetch-site", "cross-site")],
            &[("host", "a.example"), ("origin", "https://a.example"), ("sec-fetch-site", "same-site")],
            &[("host", "a.example"), ("origin", "https://a.example"), ("sec-fetch-site", "none")],
            &[("host", ""), ("origin", "https://")],
        ] {
            assert!(!from(strange), "{strange:?}");
        }
    }
}
