//! All accounts, for operators.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::html;
use schemas::ids::AccountId;

use super::super::answer::{Refusal, page};
use super::super::layout::{self, Place};
use super::super::query::Query;
use super::super::reads::{Listed, Reads, cut};
use super::super::visitor::Visitor;
use super::super::{parts, show};
use crate::edge::Edge;

/// `GET /console/accounts`.
pub(in super::super) async fn show(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    query: Query,
) -> Result<Response, Refusal> {
    visitor.operator()?;
    let below = query.id("below", "id of an account")?;
    let search = query.text("search");
    let (rows, more) = cut(Reads::of(&edge)?.accounts(search, below).await?);
    let place = Place::Accounts;
    let next =
        rows.last().filter(|_| more).map(|last| query.with(&place.path(), &[("below", &last.account_id.to_string())]));
    let first = below.map(|_| query.with(&place.path(), &[("below", "")]));
    let content = html! {
        div.head { h1 { "Accounts" } p.sub { "The last opened first, sandboxes among them." } }
        form.filters.card method="get" action=(place.path()) role="search" aria-label="Find accounts" {
            label.wide { "Id, name or address"
                input type="search" name="search" value=[search] placeholder="0190b2a4… or carol@" autocapitalize="none" spellcheck="false";
            }
            div.actions { button type="submit" { "Search" } a.button.quiet href=(place.path()) { "Reset" } }
        }
        section.card aria-label="List" {
            @if rows.is_empty() {
                (parts::nothing("Nothing is found", &html! { "Accounts are found by the beginning of their id, or by a part of the name or address." }))
            } @else {
                table.stacked {
                    caption.visually-hidden { "Accounts, the last opened first" }
                    thead { tr {
                        th scope="col" { "Account" }
                        th scope="col" { "Name" }
                        th scope="col" { "Tier" }
                        th.number scope="col" { "Available" }
                        th.number scope="col" { "Held" }
                        th.number scope="col" { "Charged" }
                        th scope="col" { "Last moved" }
                    } }
                    tbody { @for row in &rows { (line(row)) } }
                }
            }
        }
        (parts::pages(first, next))
    };
    Ok(page(StatusCode::OK, layout::page(&visitor, place, "Accounts", content)))
}

fn line(row: &Listed) -> maud::Markup {
    html! {
        tr {
            th scope="row" data-label="Account" { a href=(Place::Overview(AccountId(row.account_id)).path()) { code { (row.account_id) } } }
            td.wrap data-label="Name" { (row.name.as_deref().unwrap_or("–")) }
            td data-label="Tier" { (row.tier) @if !row.livemode { " " span.badge.fair { "Sandbox" } } }
            td.number data-label="Available" { (show::rounded(row.available, 2)) }
            td.number data-label="Held" { (show::rounded(row.held, 2)) }
            td.number data-label="Charged" { (show::rounded(row.charged, 2)) }
            td data-label="Last moved" { (parts::time(row.updated_at)) }
        }
    }
}
