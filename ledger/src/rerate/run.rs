//! Runs are known by their references: `rerate:<run>:<from>-<until>:<model>`, one an account and model. Pure.

use schemas::ids::AccountId;
use schemas::price_book::PriceBook;
use sha2::{Digest, Sha256};

use crate::range::Range;

const PREFIX: &str = "rerate:";

/// Who has run over what part of the log.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Run {
    /// Its id.
    pub id: String,
    /// What it looked at.
    pub range: Range,
}

impl Run {
    /// With an id of its own, or one that follows from prices, range and account: the same command twice is the same run.
    pub fn new(id: Option<String>, prices: &PriceBook, range: Range, account: Option<AccountId>) -> Self {
        let id = id.unwrap_or_else(|| {
            let account = account.map_or_else(|| "all".to_owned(), |id| id.to_string());
            let what = format!("{}\n{}-{}\n{account}", prices_hash(prices), range.from, range.until);
            short(&Sha256::digest(what.as_bytes()))
        });
        Self { id, range }
    }

    /// The reference of one of its adjustments.
    pub fn reference(&self, model: &str) -> String {
        format!("{PREFIX}{}:{}-{}:{model}", self.id, self.range.from, self.range.until)
    }

    /// Reads the run out of a reference.
    pub fn of_reference(reference: &str) -> Option<Self> {
        let mut parts = reference.strip_prefix(PREFIX)?.splitn(3, ':');
        let (id, range) = (parts.next()?, parts.next()?);
        let (from, until) = range.split_once('-')?;
        let range = Range { from: from.parse().ok()?, until: until.parse().ok()? };
        Some(Self { id: id.to_owned(), range })
    }

    /// Whether an id can stand in a reference.
    pub fn checked_id(id: &str) -> Result<String, String> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=64).contains(&id.len()) && id.bytes().all(good) {
            Ok(id.to_owned())
        } else {
            Err("1 to 64 letters, digits, '-', '_' and '.'".to_owned())
        }
    }

    /// Why it must not be applied after these, if it must not. `again` allows what has been compensated before.
    pub fn conflict(&self, former: &[Self], again: bool) -> Option<String> {
        if let Some(other) = former.iter().find(|run| run.id == self.id && run.range != self.range) {
            let Range { from, until } = other.range;
            return Some(format!(
                "run '{}' was over positions {from} to {until}: give this one another --run",
                self.id
            ));
        }
        let overlapping: Vec<String> = self.overlapping(former).map(|run| run.id.clone()).collect();
        if overlapping.is_empty() || again {
            return None;
        }
        let runs = overlapping.join(", ");
        Some(format!(
            "former runs compensated a part of this range ({runs}): repeat with --again to do it all the same"
        ))
    }

    /// Other runs over a part of the same range.
    pub fn overlapping<'r>(&'r self, former: &'r [Self]) -> impl Iterator<Item = &'r Self> {
        former.iter().filter(|run| run.id != self.id && run.range.overlaps(&self.range))
    }
}

/// By which prices are known, whatever file or version they come from.
pub fn prices_hash(prices: &PriceBook) -> String {
    let book = PriceBook { version: 0, ..prices.clone() };
    // A book is written in one way only, since its models are sorted.
    short(&Sha256::digest(serde_json::to_vec(&book).unwrap_or_default()))
}

fn short(hash: &[u8]) -> String {
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use schemas::price_book::FIRST_CATALOGUE;

    use super::*;

    fn book(version: u32, margin_bps: u32) -> PriceBook {
        PriceBook::from_catalogue(FIRST_CATALOGUE, version, margin_bps).unwrap()
    }

    fn range(from: u64, until: u64) -> Range {
        Range { from, until }
    }

    #[test]
    fn the_same_command_is_the_same_run_and_another_one_is_another() {
        let account = AccountId(uuid::Uuid::from_u128(1));
        let run = |version, margin, until, account| Run::new(None, &book(version, margin), range(1, until), account).id;
        let id = run(1, 5_000, 9, None);
        assert_eq!((id.len(), &run(2, 5_000, 9, None)), (16, &id), "the prices count, not their version");
        for other in [run(1, 5_001, 9, None), run(1, 5_000, 8, None), run(1, 5_000, 9, Some(account))] {
            assert_ne!(other, id);
        }
    }

    #[test]
    fn what_was_compensated_is_not_compensated_again_unless_told() {
        let run = Run::new(Some("b".to_owned()), &book(1, 0), range(10, 20), None);
        let former = |id: &str, from, until| Run { id: id.to_owned(), range: range(from, until) };
        assert_eq!(run.conflict(&[former("a", 1, 9), former("b", 10, 20)], false), None);
        let overlaps = [former("a", 20, 30)];
        assert!(run.conflict(&overlaps, false).unwrap().contains("(a)"));
        assert_eq!(run.conflict(&overlaps, true), None);
        assert!(run.conflict(&[former("b", 10, 21)], true).unwrap().contains("another --run"));
    }

    #[test]
    fn an_id_can_stand_in_a_reference() {
        assert!(Run::checked_id("2026-11.fix_1").is_ok());
        for id in ["", "a:b", "a b", "ä"] {
            assert!(Run::checked_id(id).is_err(), "{id}");
        }
        for reference in ["late-usage:1", "rerate:x", "rerate:x:1:m", "rerate:x:a-b:m"] {
            assert_eq!(Run::of_reference(reference), None, "{reference}");
        }
    }

    proptest! {
        #[test]
        fn a_reference_names_its_run(id in "[a-z0-9._-]{1,20}", from: u64, until: u64, model in "[a-z0-9:/.-]{1,30}") {
            let run = Run { id: Run::checked_id(&id).unwrap(), range: range(from, until) };
            prop_assert_eq!(Run::of_reference(&run.reference(&model)), Some(run));
        }
    }
}
