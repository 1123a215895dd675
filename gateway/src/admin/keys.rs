use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use schemas::api_key::Secret;
use schemas::ids::{AccountId, ApiKeyId};
use schemas::key_limits::{Cap, Restrictions};
use schemas::message::{
    AccountRef, AccountReply, IssueKey, KeyIssuedReply, KeyRef, KeyReply, KeyRevokedReply, KeysReply, ListKeys,
    RevokeKey, command_name,
};
use serde::{Deserialize, Serialize};

use super::accounts::account;
use super::actor::{Actor, reason, text};
use super::page::{Page, Wanted, wanted};
use super::{PATIENCE, REVOCATION_PATIENCE, body};
use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::position::At;

const LONGEST_NAME: usize = 100;

/// A new key.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Issue {
    /// A label; never a person's name, since it is kept for ever.
    name: String,
    /// A test key: spends test credits of the account's sandbox.
    #[serde(default)]
    sandbox: bool,
    /// From when on it is refused (RFC 3339).
    expires_at: Option<DateTime<Utc>>,
    /// The models that it may ask: ids of the price book, or all of a provider as `anthropic/*`. Absent: every model.
    models: Option<Vec<String>>,
    /// The most that it may spend in a period. Absent: what its account has.
    cap: Option<Cap>,
    /// Kept in the event.
    why: Option<String>,
}

/// A key that was just issued.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(super) struct Issued {
    /// The secret. It is shown this once: only its hash is kept.
    key: String,
    /// Its id.
    api_key_id: ApiKeyId,
    /// Who pays: the account, or its sandbox.
    account_id: AccountId,
    /// The ledger's position of the event.
    position: u64,
}

/// Issues a key and shows its secret, once.
pub(super) async fn issue(
    State(edge): State<Edge>,
    Extension(actor): Extension<Actor>,
    Path(account_id): Path<String>,
    request: Request,
) -> Result<At<Issued>, Error> {
    let account_id = account(&account_id)?;
    let ask: Issue = body::read(&edge, request).await?;
    let name = text(ask.name, "name", LONGEST_NAME)?;
    let why = reason(ask.why)?;
    let found: AccountReply = edge.till().command(command_name::ACCOUNT, &AccountRef { account_id }, PATIENCE).await?;
    let account_id = if found.livemode == ask.sandbox { found.counterpart } else { found.account_id };
    let secret = new_secret(!ask.sandbox)?;
    let command = IssueKey {
        account_id,
        key_hash: secret.hash(),
        key_prefix: secret.prefix().to_owned(),
        name,
        expires_at: ask.expires_at,
        restrictions: Restrictions { models: ask.models, cap: ask.cap },
        by: actor.0,
        why,
    };
    let reply: KeyIssuedReply = edge.till().command(command_name::ISSUE_KEY, &command, PATIENCE).await?;
    let issued = Issued {
        key: secret.reveal().to_owned(),
        api_key_id: reply.api_key_id,
        account_id: reply.account_id,
        position: reply.position,
    };
    Ok(At::written(reply.position, issued))
}

pub(crate) fn new_secret(livemode: bool) -> Result<Secret, Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| {
        tracing::error!(%error, "no random bytes");
        Error::Internal
    })?;
    Ok(Secret::from_random(livemode, &random))
}

/// Lists the keys of an account in the order in which they were issued, revoked ones among them.
pub(super) async fn list(
    State(edge): State<Edge>,
    Path(account_id): Path<String>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Json<Page<KeyReply>>, Error> {
    let account_id = account(&account_id)?;
    let (after, limit) = wanted(query)?;
    let command = ListKeys { account_id, after, limit };
    let page: KeysReply = edge.till().command(command_name::LIST_KEYS, &command, PATIENCE).await?;
    Ok(Json(Page::new(page.keys, page.more, |key| key.api_key_id.to_string())))
}

/// The end of a key.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    /// Kept in the event.
    why: Option<String>,
}

/// Revokes a key; answers when every gateway refuses it.
pub(super) async fn revoke(
    State(edge): State<Edge>,
    Extension(actor): Extension<Actor>,
    Path(api_key_id): Path<String>,
    request: Request,
) -> Result<At<KeyRevokedReply>, Error> {
    let invalid = |_| Invalid::new("invalid_value", "api_key_id", "Invalid 'api_key_id': expected a UUID.");
    let id: ApiKeyId = api_key_id.parse().map_err(invalid)?;
    let ask: Revoke = body::read(&edge, request).await?;
    let command = RevokeKey { key: KeyRef::Id(id), by: actor.0, why: reason(ask.why)? };
    let revoked: KeyRevokedReply = edge.till().command(command_name::REVOKE_KEY, &command, REVOCATION_PATIENCE).await?;
    Ok(At::written(revoked.position, revoked))
}
