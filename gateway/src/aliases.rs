//! Other names of models: those that their makers give them, dated or with dashes for dots. Data, in `aliases.json`. An alias
//! never stands for another model.

use std::collections::HashMap;
use std::sync::LazyLock;

static ALIASES: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| serde_json::from_str(include_str!("../aliases.json")).unwrap_or_default());

/// The id that a name is an alias of.
pub(crate) fn id_of(name: &str) -> Option<&'static str> {
    ALIASES.get(name).copied()
}

#[cfg(test)]
mod tests {
    use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, PriceBook};

    use super::*;

    #[test]
    fn every_alias_is_of_a_model_and_none_hides_one() {
        let book = PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS).unwrap();
        assert!(ALIASES.len() > 10, "the file can be read");
        for (alias, id) in &*ALIASES {
            assert!(book.models.contains_key(*id), "{alias} is of {id}");
            assert!(
                !book.models.keys().any(|known| known == alias || known.split_once('/').unwrap().1 == *alias),
                "{alias}"
            );
        }
        assert_eq!(id_of("claude-sonnet-4-5-20250929"), Some("anthropic/claude-sonnet-4.5"));
        assert_eq!(id_of("gpt-9"), None);
    }
}
