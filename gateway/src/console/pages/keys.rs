//! Keys of an account: a list for its owner; for operators also to issue and to revoke, as in the admin API.

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use schemas::api_key::Secret;
use schemas::ids::{AccountId, ApiKeyId};
use schemas::key_limits::{Cap, Period, Restrictions};
use schemas::message::{
    IssueKey, KeyIssuedReply, KeyRef, KeyReply, KeyRevokedReply, KeysReply, LARGEST_PAGE, ListKeys, RevokeKey,
    command_name,
};
use uuid::Uuid;

use super::super::answer::{Refusal, page, see_other};
use super::super::form::{self, Form};
use super::super::layout::{self, Place};
use super::super::query::Query;
use super::super::reads::Reads;
use super::super::visitor::Visitor;
use super::super::{parts, show};
use crate::admin::{PATIENCE, REVOCATION_PATIENCE, new_secret, written};
use crate::edge::Edge;

/// Who acts, as it stands in the event.
const BY: &str = "console";
const LONGEST_NAME: usize = 100;
const LONGEST_REASON: usize = 500;

/// `GET /console/accounts/{account_id}/keys`.
pub(in super::super) async fn show(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    Path(account): Path<String>,
    query: Query,
) -> Result<Response, Refusal> {
    let account = visitor.account(&account)?;
    let after = query.id("after", "id of a key")?.map(ApiKeyId);
    let keys = keys(&edge, account, after).await?;
    let place = Place::Keys(account);
    let used = Reads::of(&edge)?.keys_used(account, &ids(&keys.keys)).await?;
    let next = keys.keys.last().filter(|_| keys.more).map(|last| format!("{}?after={}", place.path(), last.api_key_id));
    let content = html! {
        div.head { h1 { "Keys" } p.sub { "In the order in which they were issued. Secrets are shown once, when a key is issued, and kept nowhere." } }
        section.card aria-label="List" {
            @if keys.keys.is_empty() {
                (parts::nothing("No keys yet", &html! { "Requests are let in by a key of this account." }))
            } @else {
                table.stacked {
                    caption.visually-hidden { "Keys in the order in which they were issued" }
                    thead { tr {
                        th scope="col" { "Name" }
                        th scope="col" { "Key" }
                        th scope="col" { "State" }
                        th scope="col" { "May" }
                        th scope="col" { "Issued" }
                        th scope="col" { "Last used" }
                        @if visitor.is_operator() { th scope="col" { span.visually-hidden { "Revoke" } } }
                    } }
                    tbody {
                        @for key in &keys.keys {
                            tr {
                                th.wrap scope="row" data-label="Name" { (key.name) }
                                td data-label="Key" { code { (key.key_prefix) "…" } }
                                td data-label="State" { (state(key)) }
                                td.wrap data-label="May" { (restrictions(&key.restrictions)) }
                                td data-label="Issued" { (parts::time(key.created_at)) }
                                td data-label="Last used" {
                                    @match used.get(&key.api_key_id.0) { Some(time) => { (parts::time(*time)) }, None => "never" }
                                }
                                @if visitor.is_operator() {
                                    td {
                                        @if !key.revoked {
                                            a href={ (place.path()) "/" (key.api_key_id) "/revoke" } aria-label={ "Revoke " (key.name) } { "Revoke" }
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        (parts::pages(after.map(|_| place.path()), next))
        @if visitor.is_operator() { (new_key(&visitor, account)) }
    };
    Ok(page(StatusCode::OK, layout::page(&visitor, place, "Keys", content)))
}

async fn keys(edge: &Edge, account_id: AccountId, after: Option<ApiKeyId>) -> Result<KeysReply, Refusal> {
    let command = ListKeys { account_id, after, limit: LARGEST_PAGE };
    edge.till().command(command_name::LIST_KEYS, &command, PATIENCE).await.map_err(Refusal::of_command)
}

fn ids(keys: &[KeyReply]) -> Vec<Uuid> {
    keys.iter().map(|key| key.api_key_id.0).collect()
}

fn state(key: &KeyReply) -> Markup {
    let expired = key.expires_at.filter(|at| *at <= chrono::Utc::now());
    html! {
        @if key.revoked { span.badge.bad { "Revoked" } }
        @else if expired.is_some() { span.badge.fair { "Expired" } }
        @else { span.badge.good { "Active" } @if let Some(at) = key.expires_at { " until " (parts::time(at)) } }
    }
}

fn restrictions(restrictions: &Restrictions) -> Markup {
    html! {
        @match &restrictions.models { Some(models) => { (models.join(", ")) }, None => "any model" }
        @if let Some(cap) = restrictions.cap {
            ", " (show::exact(cap.credits)) " credits "
            @match cap.period { Period::Day => "a day", Period::Month => "a month", Period::Total => "in all" }
        }
    }
}

fn new_key(visitor: &Visitor, account: AccountId) -> Markup {
    html! {
        section.card aria-labelledby="issue" {
            div.card-head { h2 #issue { "Issue a key" } p.sub { "What is written here is kept for ever: no person's name. Models: ids, or " code { "anthropic/*" } ", with commas." } }
            form.filters method="post" action=(Place::Keys(account).path()) {
                input type="hidden" name=(form::TOKEN) value=(visitor.token);
                label { "Name" input type="text" name="name" maxlength=(LONGEST_NAME) required placeholder="ci"; }
                label { "Models" input type="text" name="models" placeholder="any model" autocapitalize="none"; }
                label { "Cap, credits" input type="text" name="cap" inputmode="decimal" placeholder="none"; }
                label { "Cap is for"
                    select name="period" { option value="month" { "A month" } option value="day" { "A day" } option value="total" { "In all" } }
                }
                label.wide { "Why" input type="text" name="why" maxlength=(LONGEST_REASON) placeholder="kept in the event"; }
                div.actions { button type="submit" { "Issue" } }
            }
        }
    }
}

/// `POST /console/accounts/{account_id}/keys`: shows the secret, once.
pub(in super::super) async fn issue(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    Path(account): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    visitor.operator()?;
    let account_id = visitor.account(&account)?;
    let form = Form::of(&edge, &visitor, request).await?;
    let found = Reads::of(&edge)?.balance(account_id).await?;
    let secret = new_secret(found.livemode).map_err(|error| Refusal::of(&error))?;
    let name = written(form.text("name").unwrap_or_default().to_owned(), "name", LONGEST_NAME);
    let command = IssueKey {
        account_id,
        key_hash: secret.hash(),
        key_prefix: secret.prefix().to_owned(),
        name: name.map_err(|invalid| Refusal::Invalid(invalid.message))?,
        expires_at: None,
        restrictions: asked_restrictions(&form)?,
        by: BY.to_owned(),
        why: why(&form)?,
    };
    let reply: KeyIssuedReply =
        edge.till().command(command_name::ISSUE_KEY, &command, PATIENCE).await.map_err(Refusal::of_command)?;
    Ok(page(StatusCode::OK, issued(&visitor, account_id, &command.name, &secret, reply.position)))
}

fn asked_restrictions(form: &Form) -> Result<Restrictions, Refusal> {
    let models = form.text("models").map(|text| {
        text.split([',', ' ']).map(str::trim).filter(|model| !model.is_empty()).map(str::to_owned).collect()
    });
    let cap = form.text("cap").map(|text| -> Result<Cap, Refusal> {
        let credits = text.parse().map_err(|_| Refusal::Invalid(format!("'{text}' is no amount of credits.")))?;
        let period = match form.text("period") {
            Some("day") => Period::Day,
            Some("total") => Period::Total,
            _ => Period::Month,
        };
        Ok(Cap { credits, period })
    });
    Ok(Restrictions { models, cap: cap.transpose()? })
}

fn why(form: &Form) -> Result<String, Refusal> {
    let Some(why) = form.text("why") else { return Ok("by the console".to_owned()) };
    written(why.to_owned(), "why", LONGEST_REASON).map_err(|invalid| Refusal::Invalid(invalid.message))
}

fn issued(visitor: &Visitor, account: AccountId, name: &str, secret: &Secret, position: u64) -> Markup {
    let place = Place::Keys(account);
    let content = html! {
        div.card.message {
            h1 { "The key is issued" }
            p { strong { (name) } " works from now on. This is its secret. It is shown this once: copy it before you leave the page." }
            p.secret { code { (secret.reveal()) } }
            p.sub { "Position " (position) " of the ledger." }
            p { a.button href=(place.path()) { "I have copied it" } }
        }
    };
    layout::page(visitor, place, "The key is issued", content)
}

/// `GET /console/accounts/{account_id}/keys/{api_key_id}/revoke`.
pub(in super::super) async fn ask_to_revoke(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    Path((account, key)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    visitor.operator()?;
    let account = visitor.account(&account)?;
    let key = key_of(&edge, account, &key).await?;
    let place = Place::Keys(account);
    let content = html! {
        div.card.message {
            h1 { "Revoke " (key.name) "?" }
            p { "The key " code { (key.key_prefix) "…" } " is refused from then on, by every gateway, for ever. Sessions of the console that it opened end." }
            form method="post" action={ (place.path()) "/" (key.api_key_id) "/revoke" } {
                input type="hidden" name=(form::TOKEN) value=(visitor.token);
                label { "Why" input type="text" name="why" maxlength=(LONGEST_REASON) placeholder="kept in the event"; }
                div.actions {
                    button.danger type="submit" { "Revoke" }
                    a.button.quiet href=(place.path()) { "Keep it" }
                }
            }
        }
    };
    Ok(page(StatusCode::OK, layout::page(&visitor, place, "Revoke a key", content)))
}

/// `POST /console/accounts/{account_id}/keys/{api_key_id}/revoke`: answers when every gateway refuses it.
pub(in super::super) async fn revoke(
    State(edge): State<Edge>,
    Extension(visitor): Extension<Visitor>,
    Path((account, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Refusal> {
    visitor.operator()?;
    let account = visitor.account(&account)?;
    let form = Form::of(&edge, &visitor, request).await?;
    let key = key_of(&edge, account, &key).await?;
    let command = RevokeKey { key: KeyRef::Id(key.api_key_id), by: BY.to_owned(), why: why(&form)? };
    let revoked: Result<KeyRevokedReply, _> =
        edge.till().command(command_name::REVOKE_KEY, &command, REVOCATION_PATIENCE).await;
    revoked.map_err(Refusal::of_command)?;
    Ok(see_other(&Place::Keys(account).path()))
}

/// A key of this account, by its id; that of another is none.
async fn key_of(edge: &Edge, account: AccountId, id: &str) -> Result<KeyReply, Refusal> {
    let id: ApiKeyId = id.parse().map_err(|_| Refusal::NotFound)?;
    // Ids ascend in the order in which keys are issued: the page that begins just below holds it.
    let before = id.0.as_u128().checked_sub(1).map(|before| ApiKeyId(Uuid::from_u128(before)));
    let page = keys(edge, account, before).await?;
    page.keys.into_iter().find(|key| key.api_key_id == id).ok_or(Refusal::NotFound)
}
