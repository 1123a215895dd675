//! Top-ups and adjustments of an account.

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;

use super::super::answer::{Refusal, page};
use super::super::layout::{self, Place};
use super::super::query::Query;
use super::super::reads::{Reads, cut};
use super::super::visitor::Visitor;
use super::super::{parts, show};
use crate::edge::Edge;

/// `GET /console/accounts/{account_id}/credits`.
pub(in super::super) async fn show(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    Path(account): Path<String>,
    query: Query,
) -> Result<Response, Refusal> {
    let account = visitor.account(&account)?;
    let below = query.position("below")?;
    let reads = Reads::of(&edge)?;
    let balance = reads.balance(account).await?;
    let (rows, more) = cut(reads.movements(account, below).await?);
    let place = Place::Credits(account);
    let next = rows.last().filter(|_| more).map(|last| format!("{}?below={}", place.path(), last.position));
    let content = html! {
        div.head { h1 { "Top-ups and adjustments" } p.sub { "Credits that were added, given or taken. Charges are among the requests." } }
        dl.figures {
            (parts::credits("Available", balance.available))
            (parts::credits("Added in all", balance.bought))
            (parts::credits("Charged in all", balance.charged))
        }
        section.card aria-label="List" {
            @if rows.is_empty() {
                (parts::nothing("Nothing was added yet", &html! { "Credits appear here as soon as they are added." }))
            } @else {
                table.stacked {
                    caption.visually-hidden { "Top-ups and adjustments, newest first" }
                    thead { tr {
                        th scope="col" { "Time" }
                        th scope="col" { "Kind" }
                        th scope="col" { "Reference" }
                        th scope="col" { "Why" }
                        th.number scope="col" { "Position" }
                        th.number scope="col" { "Credits" }
                    } }
                    tbody {
                        @for row in &rows {
                            tr {
                                th scope="row" data-label="Time" { (parts::time(row.created_at)) }
                                td data-label="Kind" { (if row.kind == "top_up" { "Top-up" } else { "Adjustment" }) }
                                td.wrap data-label="Reference" { (row.reference) }
                                td.wrap data-label="Why" {
                                    (row.reason)
                                    @if let Some(request) = row.request_id {
                                        " " a href={ (Place::Requests(account).path()) "/" (request) } { "Its request" }
                                    }
                                }
                                td.number data-label="Position" { (show::count(row.position)) }
                                td.number data-label="Credits" { (show::rounded(row.amount, 4)) }
                            }
                        }
                    }
                }
            }
        }
        (parts::pages(below.map(|_| place.path()), next))
        (parts::as_of(balance.position, balance.as_of))
    };
    Ok(page(StatusCode::OK, layout::page(&visitor, place, "Top-ups", content)))
}
