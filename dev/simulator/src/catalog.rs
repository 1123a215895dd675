//! The models that the provider knows, and what they cost: its own reading of the committed price list.

use std::collections::HashMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde::Deserialize;

use crate::usage::{Usage, dollars};

const MODELS: &str = include_str!("../../../schemas/models.json");

/// All models.
#[derive(Debug)]
pub struct Catalog {
    models: Vec<Model>,
    by_id: HashMap<String, usize>,
    list: Bytes,
}

/// What a model is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text in, text out.
    Language,
    /// Text in, vectors out.
    Embedding,
    /// Text in, images out.
    Image,
}

/// A model that answers.
#[derive(Debug)]
pub struct Model {
    /// `creator/model`.
    pub id: String,
    /// Who serves it.
    pub provider: String,
    /// What it is for.
    pub kind: Kind,
    /// Whether it makes images.
    pub makes_images: bool,
    /// Tokens that fit in.
    pub context_window: u64,
    base: Prices,
    /// Picodollars an image.
    per_image: u64,
    /// From that many prompt tokens on, these prices instead, for the whole request.
    tiers: Vec<(u64, Prices)>,
}

/// Picodollars a token: a price of one dollar a million tokens is 1,000,000.
#[derive(Debug, Clone, Copy, Default)]
struct Prices {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
}

#[derive(Deserialize)]
struct File {
    models: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    name: String,
    provider: String,
    kind: Kind,
    status: String,
    per_image: Option<String>,
    context_window: Option<u64>,
    max_output_tokens: Option<u64>,
    prices: PriceStrings,
    tiers: Vec<TierEntry>,
}

#[derive(Deserialize)]
struct TierEntry {
    min_input_tokens: u64,
    #[serde(flatten)]
    prices: PriceStrings,
}

#[derive(Deserialize)]
struct PriceStrings {
    input: Option<String>,
    output: Option<String>,
    cache_read: Option<String>,
    cache_write: Option<String>,
}

impl Catalog {
    /// Reads the committed price list.
    ///
    /// # Errors
    /// When it is not what it should be.
    pub fn load() -> Result<Self> {
        let file: File = serde_json::from_str(MODELS).context("models.json")?;
        let mut models = Vec::new();
        let mut list = String::from(r#"{"object":"list","data":["#);
        for entry in file.models {
            // What upstream has retired, it does not know any more.
            if entry.status != "active" {
                continue;
            }
            let base = Prices::read(&entry.prices).with_context(|| entry.id.clone())?;
            let per_image = match &entry.per_image {
                // The same number of a dollar is a million times as much as of a dollar a million tokens.
                Some(price) => picodollars_per_token(price)?.saturating_mul(1_000_000),
                None => 0,
            };
            let mut tiers = Vec::new();
            for tier in &entry.tiers {
                let prices = Prices::read(&tier.prices).with_context(|| entry.id.clone())?;
                tiers.push((tier.min_input_tokens, prices));
            }
            tiers.sort_by_key(|(from, _)| *from);
            if !models.is_empty() {
                list.push(',');
            }
            write!(
                list,
                r#"{{"id":{},"object":"model","created":1755815280,"owned_by":"{}","name":{},"context_window":{},"max_tokens":{},"type":"{}","tags":[],"pricing":{{"input":"{}","output":"{}","input_cache_read":"{}","input_cache_write":"{}"}}}}"#,
                serde_json::to_string(&entry.id)?,
                entry.provider,
                serde_json::to_string(&entry.name)?,
                entry.context_window.unwrap_or(0),
                entry.max_output_tokens.unwrap_or(0),
                match entry.kind {
                    Kind::Language => "language",
                    Kind::Embedding => "embedding",
                    Kind::Image => "image",
                },
                dollars(base.input.into()),
                dollars(base.output.into()),
                dollars(base.cache_read.into()),
                dollars(base.cache_write.into()),
            )?;
            models.push(Model {
                id: entry.id,
                provider: entry.provider,
                kind: entry.kind,
                makes_images: entry.per_image.is_some(),
                context_window: entry.context_window.unwrap_or(u64::MAX),
                base,
                per_image,
                tiers,
            });
        }
        list.push_str("]}");
        let by_id = models.iter().enumerate().map(|(index, model)| (model.id.clone(), index)).collect();
        Ok(Self { models, by_id, list: Bytes::from(list) })
    }

    /// The number of a model by its id.
    pub fn find(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// A model by the number that `find` gave.
    pub fn model(&self, index: usize) -> &Model {
        &self.models[index]
    }

    /// All models, in the order of their numbers.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The body of `GET /v1/models`.
    pub fn list(&self) -> Bytes {
        self.list.clone()
    }
}

impl Model {
    /// What a usage costs, in picodollars; exact.
    pub fn cost_picodollars(&self, usage: &Usage) -> u64 {
        let tier = self.tiers.iter().rev().find(|(from, _)| usage.prompt_tokens >= *from);
        let prices = tier.map_or(&self.base, |(_, prices)| prices);
        let plain = usage.prompt_tokens.saturating_sub(usage.cached_tokens).saturating_sub(usage.cache_write_tokens);
        [
            (plain, prices.input),
            (usage.cached_tokens, prices.cache_read),
            (usage.cache_write_tokens, prices.cache_write),
            (usage.completion_tokens, prices.output),
            (usage.images, self.per_image),
        ]
        .into_iter()
        .fold(0, |cost: u64, (tokens, price)| cost.saturating_add(tokens.saturating_mul(price)))
    }
}

impl Prices {
    /// What has no price costs nothing; what is cached costs as much as what is not.
    fn read(prices: &PriceStrings) -> Result<Self> {
        let read = |price: &Option<String>| price.as_deref().map(picodollars_per_token).transpose();
        let (input, output) = (read(&prices.input)?.unwrap_or(0), read(&prices.output)?.unwrap_or(0));
        let cache_read = read(&prices.cache_read)?.unwrap_or(input);
        let cache_write = read(&prices.cache_write)?.unwrap_or(input);
        Ok(Self { input, output, cache_read, cache_write })
    }
}

/// From dollars a million tokens, written with at most six decimals.
fn picodollars_per_token(price: &str) -> Result<u64> {
    let (whole, fraction) = price.split_once('.').unwrap_or((price, ""));
    if fraction.len() > 6 {
        bail!("the price {price} has more than six decimals");
    }
    let digits = format!("{whole}{fraction:0<6}");
    digits.parse().with_context(|| format!("the price {price} is not a decimal"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_exact() -> Result<()> {
        assert_eq!(picodollars_per_token("3")?, 3_000_000);
        assert_eq!(picodollars_per_token("0.0625")?, 62_500);
        assert!(picodollars_per_token("0.0000001").is_err());
        assert!(picodollars_per_token("x").is_err());
        Ok(())
    }

    #[test]
    fn the_example_of_the_design_costs_what_it_says() -> Result<()> {
        let catalog = Catalog::load()?;
        let sonnet = catalog.model(catalog.find("anthropic/claude-sonnet-4.5").context("sonnet")?);
        let usage = Usage { prompt_tokens: 2_000, completion_tokens: 1_000, ..Usage::default() };
        assert_eq!(dollars(sonnet.cost_picodollars(&usage).into()), "0.021");
        let cached = Usage { cached_tokens: 1_000, cache_write_tokens: 500, ..usage };
        assert_eq!(dollars(sonnet.cost_picodollars(&cached).into()), "0.018675");
        // The long-context tier counts for the whole request.
        let long = Usage { prompt_tokens: 200_001, ..Usage::default() };
        assert_eq!(dollars(sonnet.cost_picodollars(&long).into()), "1.200006");
        Ok(())
    }

    #[test]
    fn retired_models_are_not_known_and_images_have_a_price() -> Result<()> {
        let catalog = Catalog::load()?;
        assert_eq!(catalog.find("openai/gpt-5-chat"), None);
        let flux = catalog.model(catalog.find("bfl/flux-2-pro").context("flux")?);
        let usage = Usage { images: 2, ..Usage::default() };
        assert_eq!((flux.kind, dollars(flux.cost_picodollars(&usage).into())), (Kind::Image, "0.06".to_owned()));
        let list: serde_json::Value = serde_json::from_slice(&catalog.list())?;
        assert_eq!(list["data"].as_array().map(Vec::len), Some(catalog.models().len()));
        Ok(())
    }
}
