//! `GET /v1/models`: what is sold, at what price; and the finding of a model by what a client calls it.

use axum::extract::{Path, State};
use axum::{Extension, Json};
use chrono::{NaiveDate, NaiveTime};
use schemars::JsonSchema;
use schemas::money::{PerMillion, PerThousand, Picodollars};
use schemas::price_book::{Kind, Model, PriceBook, Prices, Status};
use serde::Serialize;

use crate::aliases;
use crate::edge::Edge;
use crate::error::{Error, Invalid};
use crate::paid::Route;
use crate::till::Caller;

/// All models.
#[derive(Serialize, JsonSchema)]
pub struct List {
    object: &'static str,
    data: Vec<Entry>,
}

/// One model, in OpenAI's fields and ours.
#[derive(Serialize, JsonSchema)]
pub struct Entry {
    id: String,
    object: &'static str,
    created: i64,
    owned_by: String,
    name: String,
    provider: String,
    kind: Kind,
    capabilities: Vec<String>,
    context_window: Option<u32>,
    max_output_tokens: Option<u32>,
    pricing: Pricing,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    successor: Option<String>,
}

/// What customers pay, margin included: US$, exact.
#[derive(Serialize, JsonSchema)]
struct Pricing {
    currency: &'static str,
    token_unit: &'static str,
    #[serde(flatten)]
    tokens: TokenPrices,
    per_image: Option<String>,
    web_search_per_1k: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    tiers: Vec<Tier>,
}

#[derive(Serialize, JsonSchema)]
struct TokenPrices {
    input: Option<String>,
    output: Option<String>,
    cache_read: Option<String>,
    cache_write: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Tier {
    min_input_tokens: u64,
    #[serde(flatten)]
    tokens: TokenPrices,
}

/// `GET /v1/models`: those that the key may ask.
///
/// # Errors
/// When the prices are not known yet.
pub async fn list(State(edge): State<Edge>, Extension(caller): Extension<Caller>) -> Result<Json<List>, Error> {
    let book = edge.till().prices();
    known(&book)?;
    let allowed = book.models.values().filter(|model| caller.restrictions.allow(&model.id));
    let data = allowed.map(|model| entry(&book, model)).collect();
    Ok(Json(List { object: "list", data }))
}

/// `GET /v1/models/{id}`; SDKs write the slash of an id as `%2F`.
///
/// # Errors
/// When there is no such model.
pub async fn one(State(edge): State<Edge>, Path(id): Path<String>) -> Result<Json<Entry>, Error> {
    let book = edge.till().prices();
    known(&book)?;
    Ok(Json(entry(&book, find(&book, &id)?)))
}

/// The model that answers on a route by this name: of a retired one, its successor.
///
/// # Errors
/// When there is none, or it answers elsewhere.
pub(crate) fn for_route<'b>(book: &'b PriceBook, name: &str, route: &dyn Route) -> Result<&'b Model, Error> {
    known(book)?;
    let asked = find(book, name)?;
    let model = match &asked.status {
        Status::Active => asked,
        Status::Retired { successor } => successor.as_ref().and_then(|id| book.models.get(id)).ok_or_else(|| {
            let message = format!("The model `{}` is retired: its provider no longer serves it.", asked.id);
            Error::ModelNotFound { message }
        })?,
    };
    if !route.is_answered_by(model) {
        let elsewhere = match model.kind {
            Kind::Language => "It is a language model: use /v1/chat/completions.",
            Kind::Embedding => "It is an embedding model: use /v1/embeddings.",
            Kind::Image => "It is an image model: use /v1/images/generations.",
        };
        let message = format!("The model `{}` does not do {}. {elsewhere}", model.id, route.words().does);
        return Err(Invalid { code: Some("invalid_value"), param: Some("model".into()), message }.into());
    }
    Ok(model)
}

fn known(book: &PriceBook) -> Result<(), Error> {
    if book.models.is_empty() {
        let retry_after = std::time::Duration::from_secs(1);
        return Err(Error::CannotAuthorize { why: "the prices are not known yet", retry_after });
    }
    Ok(())
}

/// By its id, by the part after the slash where only one model has it, or by an alias.
fn find<'b>(book: &'b PriceBook, name: &str) -> Result<&'b Model, Error> {
    if let Some(model) = book.models.get(name) {
        return Ok(model);
    }
    // A maker's name may come with the maker's prefix as well.
    let bare = name.split_once('/').map_or(name, |(_, bare)| bare);
    if let Some(model) = aliases::id_of(bare).and_then(|id| book.models.get(id))
        && (bare == name || name.strip_suffix(bare) == Some(&format!("{}/", model.provider)))
    {
        return Ok(model);
    }
    let is_short = |model: &&Model| {
        let maker = model.id.strip_suffix(name).and_then(|rest| rest.strip_suffix('/'));
        maker.is_some_and(|maker| !maker.contains('/'))
    };
    let mut short = book.models.values().filter(is_short);
    match (short.next(), short.next()) {
        (Some(model), None) => Ok(model),
        _ => {
            const SHOWN: usize = 100;
            let shown: String = name.chars().take(SHOWN).collect();
            let message = format!("The model `{shown}` does not exist or you do not have access to it.");
            Err(Error::ModelNotFound { message })
        }
    }
}

fn entry(book: &PriceBook, model: &Model) -> Entry {
    let margin_bps = book.margin_bps(model);
    let (status, successor) = match &model.status {
        Status::Active => ("active", None),
        Status::Retired { successor } => ("retired", successor.clone()),
    };
    Entry {
        id: model.id.clone(),
        object: "model",
        created: model.released.as_deref().map_or(0, seconds),
        owned_by: model.provider.clone(),
        name: model.name.clone(),
        provider: model.provider.clone(),
        kind: model.kind,
        capabilities: model.capabilities.clone(),
        context_window: model.context_window,
        max_output_tokens: model.max_output_tokens,
        pricing: Pricing {
            currency: "USD",
            token_unit: "1M tokens",
            tokens: token_prices(&model.prices, margin_bps),
            per_image: model.per_image.map(|price| with_margin(Picodollars::get(price), 12, margin_bps)),
            web_search_per_1k: model.web_search_per_1k.map(|price| with_margin(PerThousand::get(price), 9, margin_bps)),
            tiers: model
                .tiers
                .iter()
                .map(|tier| Tier {
                    min_input_tokens: tier.min_input_tokens,
                    tokens: token_prices(&tier.prices, margin_bps),
                })
                .collect(),
        },
        status,
        successor,
    }
}

/// Midnight UTC of a day, Unix seconds.
fn seconds(day: &str) -> i64 {
    day.parse::<NaiveDate>().map_or(0, |day| day.and_time(NaiveTime::MIN).and_utc().timestamp())
}

fn token_prices(prices: &Prices, margin_bps: u32) -> TokenPrices {
    let price = |price: Option<PerMillion>| price.map(|price| with_margin(price.get(), 6, margin_bps));
    TokenPrices {
        input: price(prices.input),
        output: price(prices.output),
        cache_read: price(prices.cache_read),
        cache_write: price(prices.cache_write),
    }
}

/// A price in units of 10⁻ᵖˡᵃᶜᵉˢ dollars with the margin on top, as an exact decimal.
fn with_margin(price: i64, places: usize, margin_bps: u32) -> String {
    // The margin counts in ten-thousandths: four places more.
    let places = places + 4;
    let scaled = i128::from(price) * i128::from(10_000 + u64::from(margin_bps));
    let unit = 10_i128.pow(places as u32);
    let (whole, fraction) = (scaled / unit, scaled % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = format!("{fraction:0places$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE};

    use super::*;
    use crate::chat::CHAT;

    fn book() -> PriceBook {
        PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap()
    }

    #[test]
    fn prices_include_the_margin_exactly() {
        let book = book();
        let sonnet = serde_json::to_value(entry(&book, &book.models["anthropic/claude-sonnet-4.5"])).unwrap();
        assert_eq!(sonnet["pricing"]["input"], "4.8");
        assert_eq!(sonnet["pricing"]["output"], "24");
        assert_eq!(sonnet["pricing"]["cache_write"], "6");
        assert_eq!(sonnet["pricing"]["tiers"][0]["output"], "36");
        assert_eq!(sonnet["created"], 1_759_104_000);
        let image = serde_json::to_value(entry(&book, &book.models["google/gemini-3-pro-image"])).unwrap();
        assert_eq!(image["pricing"]["per_image"], "0.21504");
        assert_eq!(with_margin(62_500, 6, 6_001), "0.10000625");
    }

    #[test]
    fn a_model_is_found_by_its_full_or_its_short_name() {
        let book = book();
        for name in ["anthropic/claude-haiku-4.5", "claude-haiku-4.5"] {
            assert_eq!(for_route(&book, name, &CHAT).unwrap().id, "anthropic/claude-haiku-4.5");
        }
        for name in ["claude-haiku-4-5", "claude-haiku-4-5-20251001", "anthropic/claude-haiku-4-5"] {
            assert_eq!(for_route(&book, name, &CHAT).unwrap().id, "anthropic/claude-haiku-4.5", "{name}");
        }
        for name in
            ["openai/claude-haiku-4-5", "gpt-9", "", "../models", "/", "anthropic/", "ANTHROPIC/CLAUDE-HAIKU-4.5"]
        {
            assert!(matches!(for_route(&book, name, &CHAT), Err(Error::ModelNotFound { .. })), "{name}");
        }
    }

    #[test]
    fn a_retired_model_is_answered_by_its_successor_or_not_at_all() {
        let book = book();
        assert_eq!(for_route(&book, "google/gemini-3-pro-preview", &CHAT).unwrap().id, "google/gemini-3.1-pro-preview");
        match for_route(&book, "openai/gpt-5-chat", &CHAT) {
            Err(Error::ModelNotFound { message }) => assert!(message.contains("retired"), "{message}"),
            _ => panic!("it is retired"),
        }
        let listed = serde_json::to_value(entry(&book, &book.models["google/gemini-3-pro-preview"])).unwrap();
        assert_eq!(
            (&listed["status"], &listed["successor"]),
            (&"retired".into(), &"google/gemini-3.1-pro-preview".into())
        );
    }

    #[test]
    fn what_does_not_chat_is_refused() {
        let book = book();
        for name in ["bfl/flux-2-pro", "openai/text-embedding-3-small"] {
            assert!(matches!(for_route(&book, name, &CHAT), Err(Error::Invalid(_))), "{name}");
        }
    }
}
