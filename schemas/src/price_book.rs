use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::money::{PerMillion, PerThousand, Picodollars};

/// Our share on top of the provider's cost where the book says nothing else for the model: 60 %.
pub const DEFAULT_MARGIN_BPS: u32 = 6_000;

/// The largest margin that an operator can set: ten times the cost. What is above it is a slip of the finger.
pub const LARGEST_MARGIN_BPS: u32 = 100_000;

/// The catalogue that a fresh installation begins with: 54 models of 7 providers.
pub const FIRST_CATALOGUE: &str = include_str!("../models.json");

/// What is sold at what price. A version never changes; a request is charged by the version it was authorized with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PriceBook {
    /// 1, 2, 3 …
    pub version: u32,
    /// Margin in hundredths of a percent for models without one of their own.
    pub default_margin_bps: u32,
    /// What a request reads beyond its own text.
    #[serde(default)]
    pub allowances: Allowances,
    /// By model id.
    pub models: BTreeMap<String, Model>,
}

/// Tokens that providers put round what a client sends: templates, role markers, hidden prompts. They are a part of the
/// input that a hold is computed from; what a provider bills beyond them is the platform's loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allowances {
    /// A request: templates and hidden system prompts. Those that are known stay below a hundred.
    pub request_tokens: u64,
    /// A message: role markers and separators, 3 to 8 at providers that say so.
    pub message_tokens: u64,
    /// A request with tools: the hidden prompt that explains their use. Anthropic publishes up to 530.
    pub tools_tokens: u64,
    /// A tool, beside its own text.
    pub tool_tokens: u64,
    /// A wanted schema, beside its own text.
    pub schema_tokens: u64,
}

impl Default for Allowances {
    fn default() -> Self {
        Self { request_tokens: 128, message_tokens: 16, tools_tokens: 768, tool_tokens: 32, schema_tokens: 512 }
    }
}

/// One model as it is sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// `anthropic/claude-sonnet-4.5`.
    pub id: String,
    /// For people.
    pub name: String,
    /// The part of the id before the slash.
    pub provider: String,
    /// What goes in and comes out.
    pub kind: Kind,
    /// `text`, `vision`, `tools` …
    pub capabilities: Vec<String>,
    /// Tokens that fit in, input and output together.
    pub context_window: Option<u32>,
    /// Tokens that one answer can have.
    pub max_output_tokens: Option<u32>,
    /// Below every tier.
    pub prices: Prices,
    /// US dollars an image made, beside the tokens.
    pub per_image: Option<Picodollars>,
    /// Long-context prices, by rising `min_input_tokens`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<PriceTier>,
    /// US dollars a thousand web searches.
    pub web_search_per_1k: Option<PerThousand>,
    /// Day on which the model came out.
    pub released: Option<String>,
    /// Whether it can still be asked.
    pub status: Status,
    /// Margin of this model, in hundredths of a percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin_bps: Option<u32>,
}

/// US dollars a million tokens. What has no price of its own is billed as input; without an input price nothing is sold by token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prices {
    /// Tokens read anew.
    pub input: Option<PerMillion>,
    /// Tokens written, reasoning among them.
    pub output: Option<PerMillion>,
    /// Input tokens found in the provider's cache.
    pub cache_read: Option<PerMillion>,
    /// Input tokens put into the provider's cache.
    pub cache_write: Option<PerMillion>,
}

/// Prices that replace the base prices for the whole request from so many input tokens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceTier {
    /// Input tokens, cached ones among them, from which this tier applies.
    pub min_input_tokens: u64,
    /// In force from there on.
    #[serde(flatten)]
    pub prices: Prices,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text in, text out (some make images too).
    Language,
    /// Text in, vectors out.
    Embedding,
    /// Text in, images out.
    Image,
}

/// Whether a model can still be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Status {
    /// Sold.
    Active,
    /// The provider took it away. With a successor, requests are answered by that and charged at its prices.
    Retired {
        /// Id of the model that answers instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        successor: Option<String>,
    },
}

/// Why a catalogue is no price book.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// Not the JSON of a catalogue.
    #[error("the catalogue cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// A model that could be asked for nothing.
    #[error("model '{0}' has no price: what has no price is not sold")]
    NoPrice(String),
    /// A price below zero.
    #[error("model '{0}' has a negative price")]
    Negative(String),
    /// A successor that does not exist or is itself retired.
    #[error("model '{0}' names '{1}' as its successor, which is not sold")]
    BadSuccessor(String, String),
    /// Tiers that do not rise.
    #[error("the tiers of model '{0}' do not rise")]
    TiersOutOfOrder(String),
}

#[derive(Deserialize)]
struct Catalogue {
    #[serde(default)]
    allowances: Allowances,
    models: Vec<CatalogueModel>,
}

#[derive(Deserialize)]
struct CatalogueModel {
    id: String,
    name: String,
    provider: String,
    kind: Kind,
    capabilities: Vec<String>,
    context_window: Option<u32>,
    max_output_tokens: Option<u32>,
    prices: Prices,
    per_image: Option<Picodollars>,
    #[serde(default)]
    tiers: Vec<PriceTier>,
    web_search_per_1k: Option<PerThousand>,
    released: Option<String>,
    status: String,
    successor: Option<String>,
    margin_bps: Option<u32>,
}

impl PriceBook {
    /// A price book out of a catalogue in the form of `schemas/models.json`.
    pub fn from_catalogue(json: &str, version: u32, default_margin_bps: u32) -> Result<Self, CatalogueError> {
        let catalogue: Catalogue = serde_json::from_str(json)?;
        let allowances = catalogue.allowances;
        let models = catalogue.models.into_iter().map(|model| (model.id.clone(), model.into())).collect();
        let book = Self { version, default_margin_bps, allowances, models };
        book.check()?;
        Ok(book)
    }

    /// What every published book must hold.
    pub fn check(&self) -> Result<(), CatalogueError> {
        for (id, model) in &self.models {
            let tables = || std::iter::once(&model.prices).chain(model.tiers.iter().map(|tier| &tier.prices));
            let by_token = tables().all(|prices| prices.input.is_some());
            if !by_token && model.per_image.is_none() {
                return Err(CatalogueError::NoPrice(id.clone()));
            }
            let token_prices = tables().flat_map(|p| [p.input, p.output, p.cache_read, p.cache_write]).flatten();
            if token_prices.map(PerMillion::get).any(i64::is_negative)
                || model.per_image.is_some_and(Picodollars::is_negative)
                || model.web_search_per_1k.is_some_and(PerThousand::is_negative)
            {
                return Err(CatalogueError::Negative(id.clone()));
            }
            if !model.tiers.is_sorted_by(|a, b| a.min_input_tokens < b.min_input_tokens) {
                return Err(CatalogueError::TiersOutOfOrder(id.clone()));
            }
            if let Status::Retired { successor: Some(successor) } = &model.status
                && !self.models.get(successor).is_some_and(|model| model.status == Status::Active)
            {
                return Err(CatalogueError::BadSuccessor(id.clone(), successor.clone()));
            }
        }
        Ok(())
    }

    /// Margin of a model, in hundredths of a percent.
    pub fn margin_bps(&self, model: &Model) -> u32 {
        model.margin_bps.unwrap_or(self.default_margin_bps)
    }
}

impl From<CatalogueModel> for Model {
    fn from(model: CatalogueModel) -> Self {
        let status = match model.status.as_str() {
            "active" => Status::Active,
            _ => Status::Retired { successor: model.successor },
        };
        Self {
            id: model.id,
            name: model.name,
            provider: model.provider,
            kind: model.kind,
            capabilities: model.capabilities,
            context_window: model.context_window,
            max_output_tokens: model.max_output_tokens,
            prices: model.prices,
            per_image: model.per_image,
            tiers: model.tiers,
            web_search_per_1k: model.web_search_per_1k,
            released: model.released,
            status,
            margin_bps: model.margin_bps,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_catalogue_is_a_book_of_54_models_of_7_providers() {
        let book = PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap();
        assert_eq!(book.models.len(), 54);
        let providers: std::collections::BTreeSet<_> = book.models.values().map(|model| &model.provider).collect();
        assert_eq!(providers.len(), 7);
        let sonnet = &book.models["anthropic/claude-sonnet-4.5"];
        assert_eq!(sonnet.prices.output.unwrap().to_string(), "15");
        let retired = &book.models["google/gemini-3-pro-preview"].status;
        assert_eq!(retired, &Status::Retired { successor: Some("google/gemini-3.1-pro-preview".into()) });
        let again: PriceBook = serde_json::from_str(&serde_json::to_string(&book).unwrap()).unwrap();
        assert_eq!(again, book);
    }

    #[test]
    fn a_model_without_a_price_is_no_book() {
        let json = r#"{"models":[{"id":"a/b","name":"B","provider":"a","kind":"language","capabilities":[],"context_window":1,
            "max_output_tokens":1,"prices":{"input":null,"output":"1","cache_read":null,"cache_write":null},"per_image":null,
            "web_search_per_1k":null,"released":null,"status":"active"}]}"#;
        assert!(matches!(PriceBook::from_catalogue(json, 1, 0), Err(CatalogueError::NoPrice(_))));
    }
}
