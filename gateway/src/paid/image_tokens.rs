//! What an image costs to look at, at most, as far as providers publish it. Providers shrink large images, so there is a
//! most for each; where nothing is published, the bound is that of the costliest scheme.

use schemas::price_book::Model;

/// OpenAI, tiles of 512 pixels: at most 8 of them, 170 tokens each, and 85 (GPT-4o; its pricing page).
const GPT_4O: u64 = 85 + 8 * 170;
/// The same picture is said to be 33 times the tokens for GPT-4o mini: 2,833 and 5,667 a tile.
const GPT_4O_MINI: u64 = 2_833 + 8 * 5_667;
/// GPT-5's family: 70 and 140 a tile; its smaller models 1,536 patches of 32 pixels, counted 1.62 times.
const GPT_5: u64 = 2_489;
/// Later models read images of up to 10,000 patches; smaller ones count a patch up to 1.2 times.
const OPENAI_LATER: u64 = 12_000;
/// Low detail: one tile's base at the costliest model, or 256 patches.
const OPENAI_LOW: u64 = 512;
/// Anthropic: width × height ÷ 750, after shrinking to at most 3.75 megapixels.
const ANTHROPIC: u64 = 5_000;
/// Google: 258 tokens a tile, 16 tiles for the longest panorama; later models up to 2,240 an image.
const GOOGLE: u64 = 16 * 258;
/// Nothing is published, or images are not shrunk: 12 megapixels ÷ 750.
const UNKNOWN: u64 = 16_000;

/// The most tokens that one image is.
pub(super) fn bound(model: &Model) -> u64 {
    let name = model.id.split_once('/').map_or(&*model.id, |(_, name)| name);
    match &*model.provider {
        "openai" if name == "gpt-4o" => GPT_4O,
        "openai" if name == "gpt-4o-mini" => GPT_4O_MINI,
        "openai" if ["gpt-5", "gpt-5-", "gpt-5.1-"].iter().any(|family| in_family(name, family)) => GPT_5,
        "openai" => OPENAI_LATER,
        "anthropic" => ANTHROPIC,
        "google" => GOOGLE,
        _ => UNKNOWN,
    }
}

/// The most tokens that one image in low detail is. Only OpenAI has such a thing.
pub(super) fn bound_low(model: &Model) -> u64 {
    match (&*model.provider, &*model.id) {
        ("openai", "openai/gpt-4o-mini") => 2_833,
        ("openai", _) => OPENAI_LOW,
        _ => bound(model),
    }
}

/// A family's name is a model's own name, or, with a dash at its end, the beginning of it.
fn in_family(name: &str, family: &str) -> bool {
    if family.ends_with('-') { name.starts_with(family) } else { name == family }
}
