//! One request's life: its events in the order of the log, and its receipt, checked here and now.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use schemas::event::{Event, Payload, RequestAuthorized, UsageRecorded};
use schemas::ids::RequestId;
use schemas::receipt::{Checked, Receipt, check};

use super::super::answer::{CANNOT_READ, Refusal, page};
use super::super::layout::{self, Place};
use super::super::visitor::Visitor;
use super::super::{parts, show};
use crate::edge::Edge;
use crate::error::Error;
use crate::log::receipt;
use crate::log::request::{Found, find};

/// `GET /console/accounts/{account_id}/requests/{request_id}`.
pub(in super::super) async fn show(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    Path((account, request)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let account = visitor.account(&account)?;
    let request: RequestId = request.parse().map_err(|_| Refusal::NotFound)?;
    let log = edge.log().ok_or(Refusal::Unavailable("This gateway has no database."))?;
    let found = find(&edge, log, account, request).await.map_err(|error| Refusal::of(&error))?;
    if found.events.is_empty() {
        return Err(Refusal::NotFound);
    }
    let events = found.events.clone();
    let facts = facts(&found);
    let proved = receipt::proved(&edge, log, account, request, found).await;
    let place = Place::Requests(account);
    let content = html! {
        div.head { p.crumb { a href=(place.path()) { "Requests" } } h1 { "Request" } p.sub { code { (request) } } }
        (facts)
        section.card aria-labelledby="life" {
            div.card-head { h2 #life { "Its life" } }
            (timeline(request, &events))
        }
        (receipt_section(&edge, &proved))
    };
    Ok(page(StatusCode::OK, layout::page(&visitor, place, "Request", content)))
}

fn usage(events: &[(u64, Event)]) -> Option<&UsageRecorded> {
    events.iter().find_map(|(_, event)| match &event.payload {
        Payload::UsageRecorded(data) => Some(&**data),
        _ => None,
    })
}

fn authorization(events: &[(u64, Event)]) -> Option<&RequestAuthorized> {
    events.iter().find_map(|(_, event)| match &event.payload {
        Payload::RequestAuthorized(data) => Some(&**data),
        _ => None,
    })
}

/// What it asked, used and cost.
fn facts(found: &Found) -> Markup {
    let (usage, authorization) = (usage(&found.events), authorization(&found.events));
    let model = usage.map(|usage| &usage.model).or(authorization.map(|data| &data.model));
    let sum = &found.sum;
    html! {
        dl.figures {
            @match (sum.charged, sum.complete) {
                (Some(charged), _) => {
                    (parts::figure("Charged", &show::exact(charged), "credits", &html! {
                        @if sum.adjusted.get() == 0 { (show::dollars(charged)) } @else { (show::exact(sum.adjusted)) " adjusted later" }
                    }))
                },
                (None, true) => { (parts::figure("Charged", "0", "credits", &html! { "nothing was charged" })) },
                (None, false) => { (parts::figure("Charged", "–", "", &html! { "it has not ended yet" })) },
            }
            @if let Some(hold) = sum.hold {
                (parts::figure("Hold", &show::exact(hold), "credits", &html! { "the most that it could cost" }))
            }
            @if let Some(usage) = usage {
                (parts::figure("Tokens", &show::count(signed(usage.usage.input_tokens)), "in", &html! {
                    (show::count(signed(usage.usage.output_tokens))) " out"
                }))
                (parts::figure("Took", &show::span(signed(usage.latency_ms)), "", &html! {
                    @if let Some(first) = usage.ttft_ms { (show::span(signed(first))) " to the first byte" }
                }))
            }
            @if let Some(model) = model {
                (parts::words("Model", model, &html! { @if let Some(usage) = usage { "by " (usage.provider) } }))
            }
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn timeline(request: RequestId, events: &[(u64, Event)]) -> Markup {
    let began = request.time();
    html! {
        ol.timeline {
            li { p.when { (parts::time(began)) } h3 { "Arrived" } p { "The request came; its id has this time in it." } }
            @for (position, event) in events {
                li {
                    p.when { (parts::time(event.header.time)) " " span.after { (after(began, event.header.time)) } }
                    h3 { (heading(&event.payload)) }
                    (told(&event.payload))
                    p.small { code { (event.payload.type_name()) } " · position " (show::count(signed(*position))) }
                }
            }
        }
    }
}

/// How long after the request came.
fn after(began: DateTime<Utc>, time: DateTime<Utc>) -> String {
    format!("+\u{a0}{}", show::span((time - began).num_milliseconds().max(0)))
}

fn heading(payload: &Payload) -> &'static str {
    match payload {
        Payload::RequestAuthorized(_) => "Authorized",
        Payload::UsageRecorded(_) => "Usage recorded",
        Payload::CreditsDeducted(_) => "Charged",
        Payload::AuthorizationReleased(_) => "Released, nothing charged",
        Payload::AuthorizationExpired(_) => "Ended by the ledger",
        Payload::CreditsAdjusted(_) => "Adjusted",
        _ => "Recorded",
    }
}

/// What an event says, for people.
fn told(payload: &Payload) -> Markup {
    html! {
        @match payload {
            Payload::RequestAuthorized(data) => {
                p { (show::exact(data.hold)) " credits were set aside before the provider was called, by price book " (data.price_version) "." }
                dl.facts { dt { "Model" } dd { (data.model) } dt { "Route" } dd { (data.kind.name()) @if data.streamed { ", streamed" } } dt { "Asked" } dd { (data.upstream) } }
            },
            Payload::UsageRecorded(data) => {
                p { "Worth " (show::exact(data.charge)) " credits. The provider's cost is US$ " (data.cost_usd) "." }
                dl.facts {
                    dt { "Went" } dd { (parts::status(Some(data.status.name()))) }
                    @if let Some(error) = &data.error { dt { "Error" } dd { (error.message) " " span.code { (error.code.name()) } } }
                    dt { "Tokens" } dd {
                        (show::count(signed(data.usage.input_tokens))) " in (" (show::count(signed(data.usage.cached_tokens))) " from the cache), "
                        (show::count(signed(data.usage.output_tokens))) " out"
                    }
                    @if let Some(served) = &data.served_model { dt { "Answered by" } dd { (served) } }
                    @if let Some(id) = &data.provider_request_id { dt { "Its id for the answer" } dd { code { (id) } } }
                }
            },
            Payload::CreditsDeducted(data) => { p { (show::exact(data.amount)) " credits; the rest of the hold is free again." } },
            Payload::AuthorizationReleased(data) => {
                p { (data.error_message) }
                dl.facts { dt { "Why" } dd { span.code { (data.reason.name()) } } dt { "Model" } dd { (data.model) } }
            },
            Payload::AuthorizationExpired(_) => { p { "Its gateway fell silent; it is charged what it used, as far as that is known, and nothing else." } },
            Payload::CreditsAdjusted(data) => { p { (show::exact(data.amount)) " credits: " (data.why) } },
            _ => {},
        }
    }
}

/// The receipt's check, done on the server for this page.
fn receipt_section(edge: &Edge, proved: &Result<Receipt, Error>) -> Markup {
    let keys = edge.console().map_or(&[][..], |console| &console.verifier_keys);
    html! {
        section.card aria-labelledby="receipt" {
            div.card-head { h2 #receipt { "Receipt" } }
            @match proved {
                Ok(receipt) if keys.is_empty() => { (without_key(receipt)) },
                Ok(receipt) => { (checked(receipt, &check(receipt, keys, None))) },
                Err(Error::Unprovable) => {
                    p.verdict { span.badge.bad { "Not proved" } " The log does not hold together here. The operator has been told." }
                },
                Err(_) => { p.verdict { span.badge.fair { "Not checked" } " " (CANNOT_READ) } },
            }
        }
    }
}

fn checked(receipt: &Receipt, checked: &Checked) -> Markup {
    html! {
        p.verdict {
            @if checked.ok { span.badge.good { "Checked" } " Every proof leads to the signed log, and the charge follows from the events." }
            @else { span.badge.bad { "Wrong" } " This receipt does not prove what it says." }
        }
        @if !checked.problems.is_empty() { ul.problems { @for problem in &checked.problems { li { (problem) } } } }
        ul.checks {
            li { "Signature of the log " @if let Some(origin) = &checked.origin { "\u{201c}" (origin) "\u{201d}" } " by the verifier key of this gateway" }
            li { (receipt.events.len()) " events, each with a proof that it stands in the log" @if receipt.prices.is_some() { ", and the price book they are rated by" } }
            li {
                @match (checked.sum.rated, checked.sum.charged) {
                    (Some(rated), Some(charged)) => { "Rated again: " (show::exact(rated)) " credits; charged: " (show::exact(charged)) },
                    _ => { "Nothing was charged" },
                }
            }
            @if let Some(size) = checked.size { li { "Log of " (show::count(signed(size))) " events" @if let Some(root) = checked.root { ", root " code.wrap { (root) } } } }
        }
        p.small { "Do not trust this page: get the receipt with " code { "GET /v1/receipts/" (receipt.request_id) } " and check it yourself with " code { "ledger verify-receipt" } "." }
    }
}

fn without_key(receipt: &Receipt) -> Markup {
    html! {
        p.verdict { span.badge.fair { "Signature not checked" } " Each of " (receipt.events.len()) " events is proved to stand under the log's root." }
        p.small { "This gateway was given no verifier key (" code { "LAYERS_CHECKPOINT_VERIFIER_KEY" } "), so whether the root was signed is not known here." }
    }
}

#[cfg(test)]
mod tests {
    use schemas::event::{AuthorizationReleased, CreditsAdjusted, ReleaseReason, RequestKind};

    use super::*;

    #[test]
    fn whatever_an_event_says_is_text() {
        const EVIL: &str = "</p><script>alert(1)</script>\" onload=\"x";
        let released = AuthorizationReleased {
            reason: ReleaseReason::ProviderFailed,
            never_came: None,
            api_key_id: None,
            kind: RequestKind::Chat,
            model: EVIL.to_owned(),
            streamed: false,
            error_message: EVIL.to_owned(),
            latency_ms: 1,
        };
        let adjusted = CreditsAdjusted {
            amount: "1".parse().unwrap(),
            loss: "0".parse().unwrap(),
            reference: EVIL.to_owned(),
            by: EVIL.to_owned(),
            why: EVIL.to_owned(),
        };
        for payload in [Payload::AuthorizationReleased(released.into()), Payload::CreditsAdjusted(adjusted.into())] {
            let shown = told(&payload).into_string();
            assert!(!shown.contains("<script") && !shown.contains("\" onload"), "{shown}");
            assert!(shown.contains("&lt;script&gt;"), "{shown}");
        }
    }
}
