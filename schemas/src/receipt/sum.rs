use serde::Serialize;

use crate::books::{Authorization, Ending, Slots};
use crate::event::{Event, ExpiryReason, Payload};
use crate::money::Nanocredits;
use crate::price_book::PriceBook;
use crate::rate::rate;

/// What a request's events come to, by the ledger's own rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Set aside at first, credits.
    pub hold: Option<Nanocredits>,
    /// What the usage is worth by the price book, credits. Absent without a usage, or without its price book.
    pub rated: Option<Nanocredits>,
    /// Charged, credits: the smaller of the two, once the request has ended with a charge.
    pub charged: Option<Nanocredits>,
    /// Given (more than zero) or taken (less) afterwards, credits: usage that came after the end, corrections.
    pub adjusted: Nanocredits,
    /// The request has ended.
    pub complete: bool,
}

impl Sum {
    /// Adds events up; `problems` gets what is not by the rules.
    pub fn of(events: &[(u64, Event)], prices: Option<&PriceBook>, problems: &mut Vec<String>) -> Self {
        let fenced = events.iter().any(|(_, event)| match &event.payload {
            Payload::AuthorizationExpired(data) => data.reason == ExpiryReason::AuthorizedAfterFence,
            _ => false,
        });
        let (mut slots, mut adjusted) = (Slots::default(), Nanocredits::ZERO);
        for (position, event) in events {
            let filled = match &event.payload {
                Payload::RequestAuthorized(data) => slots.fill_authorization(data.hold, !fenced).map(drop),
                Payload::UsageRecorded(data) => match prices {
                    None => Ok(()),
                    Some(book) => match rate(book, &data.model, &data.usage) {
                        Ok(rating) => {
                            if (rating.charge, rating.cost_usd) != (data.charge, data.cost_usd) {
                                problems.push(format!(
                                    "position {position} says that its usage is worth {} credits; by price book {} it is \
                                     worth {}",
                                    data.charge, book.version, rating.charge
                                ));
                            }
                            slots.fill_usage(rating.charge).map(drop)
                        }
                        Err(error) => {
                            problems.push(format!("the usage at position {position} cannot be rated: {error}"));
                            Ok(())
                        }
                    },
                },
                Payload::CreditsDeducted(data) => slots.fill_ending(Ending::Deducted(data.amount)).map(drop),
                Payload::AuthorizationReleased(_) => slots.fill_ending(Ending::Released).map(drop),
                Payload::AuthorizationExpired(_) => slots.fill_ending(Ending::Expired).map(drop),
                Payload::CreditsAdjusted(data) => adjusted.plus(data.amount).map(|sum| adjusted = sum),
                other => {
                    problems.push(format!("position {position} is {}: no event of a request", other.type_name()));
                    Ok(())
                }
            };
            if let Err(error) = filled {
                problems.push(format!("position {position}: {error}"));
            }
        }
        if let (Some(Ending::Deducted(claim)), Some(charged)) = (slots.ending, slots.charged)
            && claim != charged
        {
            problems
                .push(format!("{claim} credits are deducted where the rule (usage, at most the hold) says {charged}"));
        }
        let hold = slots.authorization.map(|Authorization { hold, .. }| hold);
        Self { hold, rated: slots.usage, charged: slots.charged, adjusted, complete: slots.has_ended() }
    }
}
