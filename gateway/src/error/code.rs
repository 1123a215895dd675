//! The list of all codes: what a client is told, when, and what it can do. Whatever is answered is on it (`listed`, asserted
//! where answers are made), and `docs/api.md` is written out of it.

use axum::http::StatusCode;

/// Whether the official SDKs send such a request again by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// They do not, or are told not to (`x-should-retry: false`).
    No,
    /// They do, after `retry-after`.
    Yes,
    /// A header of the answer says so.
    AsTold,
}

/// A value of `error.code`.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    /// The code; none where OpenAI has none either.
    pub name: Option<&'static str>,
    /// The statuses that it comes with.
    pub statuses: &'static [u16],
    /// Sent again by SDKs.
    pub again: Again,
    /// When it comes.
    pub when: &'static str,
    /// What to do.
    pub then: &'static str,
}

const fn code(
    name: &'static str,
    statuses: &'static [u16],
    again: Again,
    when: &'static str,
    then: &'static str,
) -> Code {
    Code { name: Some(name), statuses, again, when, then }
}

const fn nameless(statuses: &'static [u16], again: Again, when: &'static str, then: &'static str) -> Code {
    Code { name: None, statuses, again, when, then }
}

use Again::{AsTold, No, Yes};

/// Of keys, accounts, routes and providers.
pub const CODES: &[Code] = &[
    nameless(&[401], No, "There is no key in the request.", "Send `Authorization: Bearer lyr_…` (or `x-api-key`)."),
    code(
        "invalid_api_key",
        &[401],
        No,
        "The key is none, was revoked, or has expired; or two are sent at once. The message says which.",
        "Use another key.",
    ),
    code(
        "too_many_failed_authentications",
        &[429],
        Yes,
        "Thirty wrong keys came from this address in a minute. Keys that are known to be good are let in all the same.",
        "Wait a minute; look for the program that sends wrong keys.",
    ),
    code("authentication_unavailable", &[503], Yes, "Keys cannot be looked up right now.", "Try again."),
    code(
        "invalid_admin_key",
        &[401],
        No,
        "An operator's route without the operator's key.",
        "Send `LAYERS_ADMIN_KEY`.",
    ),
    code(
        "rate_limit_exceeded",
        &[429],
        Yes,
        "The account's requests of this minute are used up (`x-ratelimit-*-requests` say how far).",
        "Wait for `retry-after`, or ask for a higher tier.",
    ),
    code(
        "too_many_feeds",
        &[429],
        Yes,
        "The account has as many feeds open on this gateway as it may.",
        "Close one; a feed goes on where it ended.",
    ),
    code(
        "model_not_allowed",
        &[403],
        No,
        "The key may not ask this model.",
        "Use a model of `GET /v1/models`, or another key.",
    ),
    code(
        "model_not_found",
        &[404],
        No,
        "There is no such model, or its provider retired it.",
        "Use an id of `GET /v1/models`.",
    ),
    code(
        "insufficient_credits",
        &[402, 409],
        No,
        "The account cannot pay what the request can cost at most (`credits_needed`, `credits_available`). 409 where an \
         operator takes more than there is.",
        "Lower the output limit to `affordable_max_tokens`, or add credits.",
    ),
    code(
        "credits_held",
        &[402],
        AsTold,
        "It could pay, were `credits_held` not set aside for requests that are running.",
        "Try again when they have ended.",
    ),
    code(
        "key_cap_reached",
        &[402],
        AsTold,
        "It is more than is left of the key's cap.",
        "Lower the output limit, wait for the next period (`GET /v1/key`), or use another key.",
    ),
    code(
        "authorization_unavailable",
        &[503],
        Yes,
        "No request can be authorized right now; nothing was charged.",
        "Try again.",
    ),
    code(
        "provider_not_configured",
        &[503],
        No,
        "This gateway has no provider for live (or for test) requests.",
        "Tell the operator.",
    ),
    code(
        "upstream_error",
        &[502, 424],
        AsTold,
        "The provider failed, reported an error, or sent what cannot be read. What was delivered before is charged, and then \
         it is not to be sent again.",
        "Try again, or another model.",
    ),
    code(
        "upstream_timeout",
        &[504, 424],
        AsTold,
        "The provider did not answer in time.",
        "Try again, or another model.",
    ),
    code("upstream_unavailable", &[502, 503, 424], AsTold, "The provider cannot be reached, or is busy.", "Try again."),
    code("upstream_rate_limited", &[429, 424], AsTold, "The provider limits the rate.", "Wait for `retry-after`."),
    code(
        "gateway_stopping",
        &[503, 424],
        AsTold,
        "The gateway had to stop. What was delivered is charged, and then it is not to be sent again.",
        "Try again where nothing was delivered.",
    ),
    code(
        "settlement_unconfirmed",
        &[424],
        No,
        "The answer was there, its charge could not be confirmed in time. It will be settled.",
        "Look at `GET /v1/generation?id=<x-request-id>` before sending it again: that would be charged as well.",
    ),
    code(
        "idempotency_key_reused",
        &[409],
        No,
        "The `Idempotency-Key` was sent with another request before.",
        "Use a new key.",
    ),
    code(
        "idempotency_key_in_use",
        &[409],
        Yes,
        "The first request with this `Idempotency-Key` is still running.",
        "Send the same again: its answer is given.",
    ),
    code(
        "idempotent_answer_gone",
        &[410],
        No,
        "The request with this `Idempotency-Key` was charged, and its answer was not kept.",
        "Look at `GET /v1/generation`; to ask again, use a new key.",
    ),
    code(
        "idempotent_answer_incomplete",
        &[410],
        No,
        "The first request with this `Idempotency-Key` was left before its stream ended.",
        "Use a new key for a whole answer.",
    ),
    code("idempotency_unavailable", &[503], Yes, "Idempotency keys cannot be looked up right now.", "Try again."),
    code(
        "answer_lost",
        &[424],
        No,
        "A defect of ours after the provider was asked.",
        "Look at `GET /v1/generation?id=<x-request-id>` before sending it again.",
    ),
    code("unknown_url", &[404], No, "There is no such route.", "Compare the path with the table of routes."),
    nameless(&[405], No, "The route is there, the method is not.", "Use the method of the table of routes."),
    code("request_too_large", &[413], No, "The body is larger than 10 MB (operator: 1 MB).", "Send less."),
    code("request_timeout", &[408], Yes, "The body did not arrive in time.", "Send it faster."),
    code("unreadable_body", &[400], No, "The body broke off.", "Send it again."),
    code("unsupported_content_encoding", &[415], No, "The body is packed.", "Send it without `Content-Encoding`."),
    code(
        "read_model_unavailable",
        &[503],
        Yes,
        "The database cannot be read right now.",
        "Try again; ask for fewer days.",
    ),
    code(
        "not_yet_available",
        &[503],
        Yes,
        "The account was opened a moment ago, or `as_of`, `min_position` or `Last-Event-ID` is so near that not all of it is known.",
        "Try again.",
    ),
    code(
        "history_not_available",
        &[503],
        No,
        "The history of that time is from before an upgrade.",
        "Ask the operator for `projector rebuild`.",
    ),
    code("account_not_found", &[404], No, "The account did not exist at `as_of`.", "Ask for a later time."),
    code("receipt_not_found", &[404], No, "This account has no such request.", "Use the `x-request-id` of a response."),
    code(
        "receipt_unprovable",
        &[500],
        No,
        "The log does not hold together where the receipt needs it.",
        "Tell the operator, who was told already.",
    ),
    code(
        "generation_not_found",
        &[404],
        No,
        "This account has no such request, or nothing was ever authorized for it.",
        "Use the `x-request-id` of a response, or, for a day, the answer's `id`.",
    ),
    code("generation_not_finished", &[404], No, "The request still runs.", "Ask again after `retry-after`."),
    code("not_in_log", &[404], No, "The log's public form has nothing at this path yet.", "Ask for a smaller tile."),
    nameless(&[500], Yes, "A defect of ours; nothing was charged.", "Try again; tell us the `x-request-id`."),
    code("ledger_unavailable", &[503], Yes, "The ledger cannot be reached; nothing was done.", "Try again."),
    code(
        "command_unconfirmed",
        &[503],
        No,
        "The ledger did not answer in time: the command may have been carried out.",
        "Look first; under the same reference it is carried out once.",
    ),
    code("bad_amount", &[400], No, "The ledger takes no such amount.", "Send a decimal string of credits."),
    code("bad_price_book", &[400], No, "The catalogue cannot be sold by.", "Mend what the message names."),
    code("unknown_model", &[400], No, "The price book has no such model.", "Use an id of `GET /admin/v1/prices`."),
    code("unknown_account", &[404], No, "There is no such account.", "Use an id of `GET /admin/v1/accounts`."),
    code("unknown_request", &[404], No, "The account has no such request.", "Use one of its request ids."),
    code(
        "unknown_key",
        &[404],
        No,
        "There is no such key.",
        "Use an id of `GET /admin/v1/accounts/{account_id}/keys`.",
    ),
    code("unknown_entry", &[404], No, "The quarantine has no such entry.", "Use one of `ledger quarantine list`."),
    code(
        "reference_reused",
        &[409],
        No,
        "The reference stands for another command; or `based_on` is not in force.",
        "Use a new reference; look again.",
    ),
    code("credits_leased", &[409], Yes, "The credits are with gateways, which give them back.", "Try again."),
    code("entry_closed", &[409], No, "The entry was dealt with, or is still refused.", "Look at it."),
];

/// Of a request's members: all of them 400, and never sent again. `param` names the member.
pub const FIELD_CODES: &[Code] = &[
    nameless(
        &[400],
        No,
        "The body is no JSON of a request, `model` is missing, or members do not go together; as OpenAI, without a code.",
        "Read the message.",
    ),
    field("missing_required_parameter", "A member is missing.", "Send it."),
    field("invalid_type", "A member is of another type.", "Send what the message expects."),
    field(
        "invalid_value",
        "A value that is not among those that are taken; a member is there twice.",
        "Send one that is.",
    ),
    field("unsupported_value", "A value that this model or route does not take.", "Send one of those in the message."),
    field(
        "unsupported_parameter",
        "A member that could change the model or the price behind the hold's back: hosted tools, stored ids, other tiers.",
        "Leave it out.",
    ),
    field("unknown_parameter", "A member or parameter that does not exist here.", "Leave it out."),
    field("empty_array", "A list has nothing in it.", "Send at least one."),
    field("empty_string", "A text is empty.", "Send one."),
    field("integer_below_min_value", "A whole number is too small.", "Send a larger one."),
    field("integer_above_max_value", "A whole number is too large.", "Send a smaller one."),
    field("decimal_below_min_value", "A number is too small.", "Send a larger one."),
    field("decimal_above_max_value", "A number is too large.", "Send a smaller one."),
    field("string_above_max_length", "A text is too long.", "Send less; the message says how much is taken."),
    field("array_above_max_length", "A list is too long, or more messages than the tier takes.", "Send less."),
    field("object_above_max_properties", "`metadata` has more than 16 pairs.", "Send fewer."),
    field("property_name_above_max_length", "A name in `metadata` is longer than 64 characters.", "Shorten it."),
    field(
        "invalid_idempotency_key",
        "The `Idempotency-Key` is empty, too long, or there twice.",
        "Send one of up to 255 characters.",
    ),
    field("nesting_too_deep", "The body is nested too deeply.", "Send it flatter."),
    field("invalid_unicode", "Half of a surrogate pair stands in a text.", "Send whole characters."),
];

const fn field(name: &'static str, when: &'static str, then: &'static str) -> Code {
    code(name, &[400], No, when, then)
}

/// Whether a code may come with a status.
pub(crate) fn listed(name: Option<&str>, status: StatusCode) -> bool {
    CODES.iter().chain(FIELD_CODES).any(|code| code.name == name && code.statuses.contains(&status.as_u16()))
}

/// Whether a code may be told of a member.
pub(crate) fn is_of_field(name: &str) -> bool {
    FIELD_CODES.iter().any(|code| code.name == Some(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn each_stands_there_once_and_says_something() {
        let mut seen = BTreeSet::new();
        for code in CODES.iter().chain(FIELD_CODES) {
            assert!(seen.insert((code.name, code.statuses)), "{code:?} is there twice");
            assert!(!code.statuses.is_empty() && !code.when.is_empty() && !code.then.is_empty(), "{code:?}");
            for text in [code.when, code.then] {
                assert!(text.ends_with('.') && !text.contains(['|', '\n']), "{text} stands in a table");
            }
        }
    }

    /// What is told of members is written all over the crate: every word of it is on the list, and the list has no others.
    #[test]
    fn what_the_code_says_of_members_is_on_the_list() {
        let mut told = BTreeSet::new();
        read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut told);
        let words = |text: &str, before: &str| -> Vec<String> {
            text.split(before)
                .skip(1)
                .filter_map(|rest| rest.split_once('"'))
                .map(|(word, _)| word.to_owned())
                .collect()
        };
        let mut said = BTreeSet::new();
        for text in &told {
            said.extend(words(text, "Invalid::new(\""));
            said.extend(words(text, "Invalid { code: Some(\""));
        }
        assert!(said.len() > 5, "{said:?}");
        for word in said {
            assert!(is_of_field(&word), "{word} is told and not on the list");
        }
        for name in FIELD_CODES.iter().filter_map(|code| code.name) {
            let quoted = format!("\"{name}\"");
            assert!(told.iter().any(|text| text.contains(&quoted)), "{name} is on the list, and nobody says it");
        }
    }

    fn read(folder: &Path, texts: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                read(&path, texts);
            } else if path.file_name().is_some_and(|name| name != "code.rs") {
                texts.insert(std::fs::read_to_string(path).unwrap());
            }
        }
    }
}
