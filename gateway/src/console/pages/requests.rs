//! Requests that have ended, newest first, with filters and pages.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::Utc;
use maud::{Markup, html};
use schemas::ids::{AccountId, RequestId};
use uuid::Uuid;

use super::super::answer::{Refusal, page, see_other};
use super::super::layout::{self, Place};
use super::super::query::{Query, Range};
use super::super::reads::{Filter, Reads, Request, cut};
use super::super::visitor::Visitor;
use super::super::{parts, show};
use crate::edge::Edge;

const USUAL_DAYS: u64 = 30;
const LONGEST: i64 = 92;
const STATUSES: [(&str, &str); 3] = [("success", "Success"), ("error", "Error"), ("cancelled", "Cancelled")];

/// `GET /console/accounts/{account_id}/requests`.
pub(in super::super) async fn of_account(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    Path(account): Path<String>,
    query: Query,
) -> Result<Response, Refusal> {
    let account = visitor.account(&account)?;
    let place = Place::Requests(account);
    if let Some(request) = query.id("request_id", "id of a request")? {
        return Ok(see_other(&format!("{}/{request}", place.path())));
    }
    let reads = Reads::of(&edge)?;
    // Nothing is listed of an account that is none.
    reads.balance(account).await?;
    let filter = filter(&query)?;
    let rows = reads.requests(account, &filter).await?;
    let keys = reads.key_names(account).await?;
    Ok(page(StatusCode::OK, list(&visitor, place, &query, &filter, &keys, rows)))
}

/// `GET /console/requests`: all accounts', for operators.
pub(in super::super) async fn of_all(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    query: Query,
) -> Result<Response, Refusal> {
    visitor.operator()?;
    let reads = Reads::of(&edge)?;
    if let Some(request) = query.id("request_id", "id of a request")? {
        let account = reads.account_of(request).await?.ok_or(Refusal::NotFound)?;
        return Ok(see_other(&format!("{}/{request}", Place::Requests(AccountId(account)).path())));
    }
    let filter = filter(&query)?;
    let rows = reads.requests_of_all(&filter).await?;
    Ok(page(StatusCode::OK, list(&visitor, Place::AllRequests, &query, &filter, &[], rows)))
}

fn filter(query: &Query) -> Result<Filter, Refusal> {
    let status = query.text("status");
    if status.is_some_and(|status| STATUSES.iter().all(|(known, _)| *known != status)) {
        return Err(Refusal::Invalid("There is no such status.".to_owned()));
    }
    Ok(Filter {
        range: Range::asked(query, Utc::now().date_naive(), USUAL_DAYS, LONGEST)?,
        model: query.text("model").map(str::to_owned),
        status: status.map(str::to_owned),
        key: query.id("key", "id of a key")?,
        after: query.id("after", "id of a request")?.map(RequestId),
    })
}

fn list(
    visitor: &Visitor,
    place: Place,
    query: &Query,
    filter: &Filter,
    keys: &[(Uuid, String)],
    rows: Vec<Request>,
) -> Markup {
    let (rows, more) = cut(rows);
    let of_all = place == Place::AllRequests;
    let next =
        rows.last().filter(|_| more).map(|last| query.with(&place.path(), &[("after", &last.request_id.to_string())]));
    let first = filter.after.map(|_| query.with(&place.path(), &[("after", "")]));
    let title = if of_all { "All requests" } else { "Requests" };
    let content = html! {
        div.head { h1 { (title) } p.sub { "Requests that have ended, newest first." } }
        (filters(place, query, filter, keys))
        section.card aria-label="List" {
            @if rows.is_empty() {
                (parts::nothing("Nothing is found", &html! {
                    "No request from " (filter.range.from) " to " (filter.range.last) " fits. "
                    a href=(place.path()) { "Show the last 30 days" }
                }))
            } @else {
                table.stacked {
                    caption.visually-hidden { "Requests, newest first" }
                    thead { tr {
                        th scope="col" { "Time" }
                        th scope="col" { "Model" }
                        th scope="col" { "Status" }
                        th scope="col" { (if of_all { "Account" } else { "Key" }) }
                        th.number scope="col" { "Tokens in" }
                        th.number scope="col" { "Tokens out" }
                        th.number scope="col" { "Took" }
                        th.number scope="col" { "Credits" }
                    } }
                    tbody { @for row in &rows { (line(row, of_all)) } }
                }
            }
        }
        (parts::pages(first, next))
    };
    layout::page(visitor, place, title, content)
}

fn line(row: &Request, of_all: bool) -> Markup {
    let account = Place::Requests(AccountId(row.account_id));
    html! {
        tr {
            th scope="row" data-label="Time" {
                a href={ (account.path()) "/" (row.request_id) } { (parts::time(row.created_at)) }
            }
            td data-label="Model" { (row.model.as_deref().unwrap_or("–")) }
            td data-label="Status" {
                (parts::status(row.status.as_deref()))
                @if let Some(code) = &row.error_code { " " span.code { (code) } }
            }
            @if of_all {
                td data-label="Account" { a href=(Place::Overview(AccountId(row.account_id)).path()) { code { (short(row.account_id)) } } }
            } @else {
                td data-label="Key" { (row.key_name.as_deref().unwrap_or("–")) }
            }
            td.number data-label="Tokens in" { (show::count(row.input_tokens)) }
            td.number data-label="Tokens out" { (show::count(row.output_tokens)) }
            td.number data-label="Took" { (row.latency_ms.map_or("–".to_owned(), show::span)) }
            td.number data-label="Credits" { (show::rounded(row.credits, 4)) }
        }
    }
}

/// The end of an id, which tells ids apart that were made at the same time.
fn short(id: Uuid) -> String {
    let text = id.to_string();
    format!("…{}", text.get(24..).unwrap_or(&text))
}

fn filters(place: Place, query: &Query, filter: &Filter, keys: &[(Uuid, String)]) -> Markup {
    let today = Utc::now().date_naive();
    html! {
        form.filters.card method="get" action=(place.path()) role="search" aria-label="Filter requests" {
            label { "From" input type="date" name="from" value=(filter.range.from) max=(today); }
            label { "To" input type="date" name="until" value=(filter.range.last) max=(today); }
            label { "Model" input type="text" name="model" value=[query.text("model")] placeholder="openai/gpt-4o" autocapitalize="none"; }
            label { "Status"
                select name="status" {
                    option value="" { "Any" }
                    @for (value, name) in STATUSES {
                        option value=(value) selected[filter.status.as_deref() == Some(value)] { (name) }
                    }
                }
            }
            @if !keys.is_empty() {
                label { "Key"
                    select name="key" {
                        option value="" { "Any" }
                        @for (id, name) in keys { option value=(id) selected[filter.key == Some(*id)] { (name) } }
                    }
                }
            }
            label.wide { "Request id" input type="text" name="request_id" placeholder="x-request-id of the response" autocapitalize="none" spellcheck="false"; }
            div.actions {
                button type="submit" { "Search" }
                a.button.quiet href=(place.path()) { "Reset" }
            }
        }
    }
}
