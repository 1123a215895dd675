//! What an operator looks after: lag, leases, holds by age, losses, quarantine.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use schemas::ids::AccountId;

use super::super::answer::{Refusal, page};
use super::super::layout::{self, Place};
use super::super::reads::{Operations, Reads};
use super::super::visitor::Visitor;
use super::super::{parts, show};
use crate::edge::Edge;

/// `GET /console/operations`.
pub(in super::super) async fn show(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
) -> Result<Response, Refusal> {
    visitor.operator()?;
    let found = Reads::of(&edge)?.operations().await?;
    let content = html! {
        div.head { h1 { "Operations" } p.sub { "As it is now. Reload the page for newer figures." } }
        (lag(&edge, &found))
        (lives(&found, Utc::now()))
        div.columns { (holds(&found)) (losses(&found)) }
        (quarantine(&found))
    };
    Ok(page(StatusCode::OK, layout::page(&visitor, Place::Operations, "Operations", content)))
}

fn lag(edge: &Edge, found: &Operations) -> Markup {
    let health = edge.till().health();
    let behind = found.position.saturating_sub(found.projected).max(0);
    // What was not read yet was written after this.
    let seconds = found.recorded_at.zip(found.projected_at).filter(|_| behind > 0).map(|(end, read)| end - read);
    let seconds = seconds.map_or(0, |lag| lag.num_milliseconds().max(0));
    let heard = health.ledger_heard.and_then(|ago| i64::try_from(ago.as_millis()).ok());
    html! {
        section aria-labelledby="lag" {
            h2.visually-hidden #lag { "Lag" }
            dl.figures {
                (parts::figure("Read models behind", &show::count(behind), "events", &html! { (show::span(seconds)) " of the log" }))
                (parts::figure("Log", &show::count(found.position), "events", &html! {
                    @if let Some(at) = found.recorded_at { "last at " (parts::time(at)) }
                }))
                (parts::figure("Ledger heard", &heard.map_or("never".to_owned(), show::span), "", &html! { "ago, by this gateway" }))
                (parts::figure("Stream used", &health.stream_used_percent.to_string(), "%", &html! { "new requests are refused from 80 % on" }))
                (parts::figure("Gateways alive", &health.live_gateways.to_string(), "", &html! { "as this gateway hears" }))
            }
            @if let Some(why) = health.refusing { p.note.wrong role="alert" { "This gateway refuses requests: " (why) } }
        }
    }
}

fn lives(found: &Operations, now: DateTime<Utc>) -> Markup {
    html! {
        section.card aria-labelledby="leases" {
            div.card-head { h2 #leases { "Leases" } p.sub { "Credits that each life of a gateway holds alone." } }
            @if found.lives.is_empty() {
                (parts::nothing("No gateway is registered", &html! { "A gateway registers with the ledger when it starts." }))
            } @else {
                table.stacked {
                    caption.visually-hidden { "Leases by life of a gateway" }
                    thead { tr {
                        th scope="col" { "Gateway" }
                        th scope="col" { "State" }
                        th scope="col" { "Registered" }
                        th.number scope="col" { "Accounts" }
                        th.number scope="col" { "Can be spent there" }
                        th.number scope="col" { "Held" }
                    } }
                    tbody {
                        @for life in &found.lives {
                            tr {
                                th scope="row" data-label="Gateway" { code { (life.gateway) } }
                                td data-label="State" { span.badge.(if life.state == "open" { "good" } else { "fair" }) { (life.state) } }
                                td data-label="Registered" { (show::ago(life.registered_at, now)) }
                                td.number data-label="Accounts" { (show::count(life.accounts)) }
                                td.number data-label="Can be spent there" { (show::rounded(life.leased, 2)) }
                                td.number data-label="Held" { (show::rounded(life.held, 2)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn holds(found: &Operations) -> Markup {
    let age = |up_to: Option<i32>| match up_to {
        Some(seconds) if seconds < 3_600 => format!("up to {} min", seconds / 60),
        Some(seconds) => format!("up to {} h", seconds / 3_600),
        None => "longer".to_owned(),
    };
    html! {
        section.card aria-labelledby="holds" {
            div.card-head { h2 #holds { "Open holds by age" } }
            table {
                caption.visually-hidden { "Open holds by age" }
                thead { tr { th scope="col" { "Open for" } th.number scope="col" { "Holds" } th.number scope="col" { "Credits" } } }
                tbody {
                    @for row in &found.holds {
                        tr {
                            th scope="row" { (age(row.up_to)) }
                            td.number { (show::count(row.holds)) }
                            td.number { (show::rounded(row.amount, 2)) }
                        }
                    }
                }
            }
        }
    }
}

fn losses(found: &Operations) -> Markup {
    let kinds: Vec<_> = [(true, "live"), (false, "sandboxes")]
        .into_iter()
        .filter_map(|(livemode, name)| {
            Some((name, &found.losses.iter().find(|loss| loss.livemode == livemode)?.in_all))
        })
        .collect();
    html! {
        section.card aria-labelledby="losses" {
            div.card-head { h2 #losses { "Losses" } p.sub { "What providers billed and no account paid." } }
            @if found.losses.is_empty() {
                (parts::nothing("No losses", &html! { "Everything that was used was paid for." }))
            } @else {
                @for (name, in_all) in kinds { p { strong { (in_all) } " credits, " (name) } }
                table {
                    caption.visually-hidden { "Losses by account" }
                    thead { tr { th scope="col" { "Account" } th.number scope="col" { "Credits" } } }
                    tbody {
                        @for loss in &found.losses {
                            tr {
                                th scope="row" {
                                    a href=(Place::Overview(AccountId(loss.account_id)).path()) { code { (loss.account_id) } }
                                    @if !loss.livemode { " " span.badge.fair { "Sandbox" } }
                                }
                                td.number { (show::rounded(loss.lost, 4)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn quarantine(found: &Operations) -> Markup {
    html! {
        section.card aria-labelledby="quarantine" {
            div.card-head { h2 #quarantine { "Quarantine" } p.sub { "Messages that the ledger could not apply. They hold nothing back." } }
            @if found.quarantine.is_empty() {
                (parts::nothing("Nothing is in quarantine", &html! { "Every message that came was applied." }))
            } @else {
                table.stacked {
                    caption.visually-hidden { "Messages in quarantine by reason" }
                    thead { tr {
                        th scope="col" { "Reason" }
                        th.number scope="col" { "Messages" }
                        th scope="col" { "First" }
                        th scope="col" { "Last" }
                    } }
                    tbody {
                        @for row in &found.quarantine {
                            tr {
                                th.wrap scope="row" data-label="Reason" { (row.reason) }
                                td.number data-label="Messages" { (show::count(row.entries)) }
                                td data-label="First" { (parts::time(row.first_at)) " (" code { "ledger quarantine show " (row.first_id) } ")" }
                                td data-label="Last" { (parts::time(row.last_at)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
