//! An account: what it has, and what it used by day, model and key.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{Days, NaiveDate, Utc};
use maud::{Markup, html};
use schemas::ids::AccountId;
use schemas::money::Nanocredits;

use super::super::answer::{Refusal, page};
use super::super::chart::{self, Words};
use super::super::layout::{self, Place};
use super::super::query::{Query, Range};
use super::super::reads::{ByDay, Reads, Share};
use super::super::visitor::Visitor;
use super::super::{parts, show};
use crate::edge::Edge;

const USUAL_DAYS: u64 = 30;
const LONGEST: i64 = 366;
const CHOICES: [(u64, &str); 4] = [(7, "7 days"), (30, "30 days"), (90, "90 days"), (365, "1 year")];
/// Names in a chart; the rest is one bar.
const NAMES: usize = 7;

/// `GET /console/accounts/{account_id}`.
pub(in super::super) async fn show(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    Path(account): Path<String>,
    query: Query,
) -> Result<Response, Refusal> {
    let account = visitor.account(&account)?;
    let range = Range::asked(&query, Utc::now().date_naive(), USUAL_DAYS, LONGEST)?;
    let reads = Reads::of(&edge)?;
    let balance = reads.balance(account).await?;
    let days = reads.usage_by_day(account, range).await?;
    let models = reads.usage_by_model(account, range).await?;
    let keys = reads.usage_by_key(account, range).await?;
    let place = Place::Overview(account);
    let content = html! {
        div.head {
            h1 { "Overview" @if !balance.livemode { " " span.badge.fair { "Sandbox" } } }
            p.sub { "Account " code { (account) } " · tier " (balance.tier) }
        }
        section aria-labelledby="credits" {
            h2.visually-hidden #credits { "Credits" }
            dl.figures {
                (parts::credits("Available", balance.available))
                (parts::credits("Held for running requests", balance.held))
                (parts::credits("Posted balance", balance.balance))
                (parts::credits("Charged in all", balance.charged))
                (parts::credits("Added in all", balance.bought))
            }
        }
        section.card aria-labelledby="usage" {
            div.card-head { h2 #usage { "Usage" } (chooser(account, range)) }
            @if days.is_empty() {
                (parts::nothing("No usage on these days", &html! { "Requests appear here a moment after they end." }))
            } @else {
                (by_day(range, &days))
            }
        }
        @if !days.is_empty() {
            div.columns {
                (shares("models", "By model", "Model", range, &models))
                (shares("keys", "By key", "Key", range, &keys))
            }
        }
        (parts::as_of(balance.position, balance.as_of))
    };
    Ok(page(StatusCode::OK, layout::page(&visitor, place, "Overview", content)))
}

/// The days that are looked at: some usual ones, or any.
fn chooser(account: AccountId, range: Range) -> Markup {
    let path = Place::Overview(account).path();
    let today = Utc::now().date_naive();
    let chosen = |days: u64| range.last == today && range.length() == i64::try_from(days).unwrap_or(0);
    let from = |days: u64| today.checked_sub_days(Days::new(days - 1)).unwrap_or(today);
    html! {
        div.chooser {
            ul.choices {
                @for (days, name) in CHOICES {
                    li { a href={ (path) "?from=" (from(days)) } aria-current=[chosen(days).then_some("true")] { (name) } }
                }
            }
            form.inline method="get" action=(path) {
                label { "From" input type="date" name="from" value=(range.from) max=(today); }
                label { "to" input type="date" name="until" value=(range.last) max=(today); }
                button.quiet type="submit" { "Show" }
            }
        }
    }
}

fn by_day(range: Range, days: &[ByDay]) -> Markup {
    let of = |day: NaiveDate| days.iter().find(|row| row.day == day).map_or(Nanocredits::ZERO, |row| row.credits);
    let columns: Vec<_> = range.days().map(|day| (day.format("%b %-d").to_string(), of(day))).collect();
    let sum = days.iter().fold(0_i128, |sum, row| sum + i128::from(row.credits.get()));
    let sum = Nanocredits::from_wide(sum).unwrap_or(Nanocredits::MAX);
    let requests: i64 = days.iter().map(|row| row.requests).sum();
    let failed: i64 = days.iter().map(|row| row.failed).sum();
    let tokens: i64 = days.iter().map(|row| row.input_tokens.saturating_add(row.output_tokens)).sum();
    let description = format!(
        "Credits charged a day from {} to {}: {} in all, for {} requests.",
        range.from,
        range.last,
        show::rounded(sum, 2),
        show::count(requests)
    );
    html! {
        dl.figures.compact {
            (parts::figure("Charged", &show::rounded(sum, 2), "credits", &html! { (show::dollars(sum)) }))
            (parts::figure("Requests", &show::count(requests), "", &html! { (show::count(failed)) " failed" }))
            (parts::figure("Tokens", &show::count(tokens), "", &html! { "in and out" }))
        }
        figure {
            figcaption { "Credits a day" }
            (chart::columns(&Words { id: "days", title: "Credits a day", description: &description }, &columns))
            details {
                summary { "The same figures as a table" }
                div.scroll tabindex="0" role="region" aria-label="Usage by day" {
                    table {
                        caption.visually-hidden { "Usage by day" }
                        thead { tr {
                            th scope="col" { "Day" }
                            th.number scope="col" { "Requests" }
                            th.number scope="col" { "Failed" }
                            th.number scope="col" { "Tokens in" }
                            th.number scope="col" { "Tokens out" }
                            th.number scope="col" { "Credits" }
                        } }
                        tbody {
                            @for row in days.iter().rev() {
                                tr {
                                    th scope="row" { (row.day) }
                                    td.number { (show::count(row.requests)) }
                                    td.number { (show::count(row.failed)) }
                                    td.number { (show::count(row.input_tokens)) }
                                    td.number { (show::count(row.output_tokens)) }
                                    td.number { (show::rounded(row.credits, 4)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn shares(id: &str, title: &str, what: &str, range: Range, shares: &[Share]) -> Markup {
    let mut bars: Vec<_> = shares.iter().take(NAMES).map(|share| (share.name.clone(), share.credits)).collect();
    let rest: i128 = shares.iter().skip(NAMES).map(|share| i128::from(share.credits.get())).sum();
    if rest > 0 {
        let name = format!("{} others", shares.len() - NAMES);
        bars.push((name, Nanocredits::from_wide(rest).unwrap_or(Nanocredits::MAX)));
    }
    let description = format!("Credits charged {} from {} to {}.", title.to_lowercase(), range.from, range.last);
    html! {
        section.card aria-labelledby=(id) {
            div.card-head { h2 #(id) { (title) } p.sub { (range.from) " to " (range.last) } }
            figure {
                (chart::bars(&Words { id: &format!("{id}-chart"), title, description: &description }, &bars))
                details {
                    summary { "The same figures as a table" }
                    div.scroll tabindex="0" role="region" aria-label=(title) {
                        table {
                            caption.visually-hidden { "Usage " (title.to_lowercase()) }
                            thead { tr {
                                th scope="col" { (what) }
                                th.number scope="col" { "Requests" }
                                th.number scope="col" { "Tokens" }
                                th.number scope="col" { "Credits" }
                            } }
                            tbody {
                                @for share in shares {
                                    tr {
                                        th scope="row" { (share.name) }
                                        td.number { (show::count(share.requests)) }
                                        td.number { (show::count(share.tokens)) }
                                        td.number { (show::rounded(share.credits, 4)) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
