//! What a usage of ours and the provider's word on it come to. Pure.

use std::collections::BTreeMap;

use schemas::event::UsageSource;
use schemas::price_book::PriceBook;
use schemas::rate::RateError;

use super::figures::{Difference, Figures, Tolerance};
use super::ours::Ours;
use super::record::Call;
use super::true_up::{TrueUp, true_up};

/// One of these for each usage.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Both say the same.
    Same,
    /// Ours or theirs is not final yet.
    Open,
    /// The provider knows nothing of it.
    OursOnly,
    /// The provider's word came for this usage; an operator decides what follows.
    Differs(Vec<Difference>),
    /// We had estimated it, and the provider says otherwise.
    Estimated(Vec<Difference>, TrueUp),
    /// The same, and it has been trued up by these figures.
    TruedUp,
}

pub(super) fn verdict(
    ours: &Ours,
    theirs: Option<&Call>,
    prices: &BTreeMap<u32, PriceBook>,
    tolerance: &Tolerance,
) -> Result<Verdict, RateError> {
    let Some(theirs) = theirs else { return Ok(Verdict::OursOnly) };
    let Some(settled) = ours.settled.filter(|_| !theirs.open) else { return Ok(Verdict::Open) };
    let data = &ours.data;
    let differences = Figures::of(&data.usage, data.cost_usd).differences(&theirs.figures, tolerance);
    if differences.is_empty() {
        return Ok(Verdict::Same);
    }
    let Some(prices) = prices.get(&data.price_version).filter(|_| data.source == UsageSource::Estimated) else {
        return Ok(Verdict::Differs(differences));
    };
    let Some(due) = true_up(prices, &data.model, &data.usage, &theirs.figures, &settled)? else {
        return Ok(Verdict::Differs(differences));
    };
    Ok(match ours.trued_up {
        Some((amount, loss)) if due.is_done_by(amount, loss) => Verdict::TruedUp,
        // By other figures than these: the reference is used up, so an operator decides.
        Some(_) => Verdict::Differs(differences),
        None if due.is_nothing() => Verdict::Differs(differences),
        None => Verdict::Estimated(differences, due),
    })
}

#[cfg(test)]
mod tests {
    use schemas::event::{RequestKind, UsageRecorded, UsageStatus};
    use schemas::ids::{AccountId, RequestId};
    use schemas::money::Nanocredits;
    use schemas::price_book::FIRST_CATALOGUE;
    use schemas::rate::{Usage, rate};
    use uuid::Uuid;

    use super::*;
    use crate::settled::{Row, Settled};

    const MODEL: &str = "anthropic/claude-sonnet-4.5";

    fn books() -> BTreeMap<u32, PriceBook> {
        BTreeMap::from([(1, PriceBook::from_catalogue(FIRST_CATALOGUE, 1, 6_000).unwrap())])
    }

    fn ours(output_tokens: u64, source: UsageSource) -> Ours {
        let usage = Usage { output_tokens, ..Usage::default() };
        let rating = rate(&books()[&1], MODEL, &usage).unwrap();
        let worth = Some(rating.charge.get());
        let row = Row { hold: Some(100_000_000_000), worth, charged: worth, ..Row::default() };
        let data = UsageRecorded {
            api_key_id: None,
            kind: RequestKind::Chat,
            model: MODEL.to_owned(),
            served_model: None,
            provider: "anthropic".to_owned(),
            upstream: "simulator".to_owned(),
            provider_request_id: None,
            usage,
            source,
            status: UsageStatus::Cancelled,
            error: None,
            latency_ms: 1,
            ttft_ms: None,
            streamed: true,
            price_version: 1,
            cost_usd: rating.cost_usd,
            provider_cost_usd: None,
            charge: rating.charge,
            breakdown: rating.breakdown,
        };
        Ours {
            position: 1,
            account_id: AccountId(Uuid::nil()),
            livemode: true,
            request_id: RequestId(Uuid::nil()),
            time: chrono::DateTime::UNIX_EPOCH,
            data: Box::new(data),
            settled: Settled::of(&row).unwrap(),
            trued_up: None,
        }
    }

    fn theirs(output_tokens: u64) -> Call {
        let usage = Usage { output_tokens, ..Usage::default() };
        let cost = rate(&books()[&1], MODEL, &usage).unwrap().cost_usd;
        Call { model: None, figures: Figures::of(&usage, cost), open: false }
    }

    fn judged(ours: &Ours, theirs: Option<&Call>) -> Verdict {
        verdict(ours, theirs, &books(), &Tolerance::default()).unwrap()
    }

    #[test]
    fn only_an_estimate_is_ever_trued_up() {
        let said = ours(10, UsageSource::Provider);
        assert_eq!(judged(&said, Some(&theirs(10))), Verdict::Same);
        assert!(matches!(judged(&said, Some(&theirs(11))), Verdict::Differs(all) if all.len() == 2));
        assert_eq!(judged(&said, None), Verdict::OursOnly);
        let estimated = ours(10_000, UsageSource::Estimated);
        let Verdict::Estimated(differences, due) = judged(&estimated, Some(&theirs(5_000))) else { panic!() };
        assert_eq!((differences.len(), due.amount.to_string()), (2, "12".to_owned()));
    }

    #[test]
    fn what_was_trued_up_is_settled_unless_the_provider_changes_its_word() {
        let twelve = Nanocredits::from_credits(12).unwrap();
        let estimated = Ours { trued_up: Some((twelve, Nanocredits::ZERO)), ..ours(10_000, UsageSource::Estimated) };
        assert_eq!(judged(&estimated, Some(&theirs(5_000))), Verdict::TruedUp);
        assert!(matches!(judged(&estimated, Some(&theirs(5_001))), Verdict::Differs(_)));
    }

    #[test]
    fn what_is_not_final_is_not_judged() {
        let estimated = ours(10, UsageSource::Estimated);
        assert_eq!(judged(&estimated, Some(&Call { open: true, ..theirs(5) })), Verdict::Open);
        assert_eq!(judged(&Ours { settled: None, ..estimated }, Some(&theirs(5))), Verdict::Open);
    }
}
