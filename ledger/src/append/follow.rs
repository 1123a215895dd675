use schemas::books::{Books, FollowUp};
use schemas::event::{AuthorizationExpired, CreditsAdjusted, ExpiryReason, Payload};
use schemas::ids::{AccountId, RequestId};
use schemas::money::Nanocredits;

/// What the ledger says right after an event that asks for it, by the books as they are after that event. `verify` expects
/// the same.
pub(crate) fn follow_up_payload(
    books: &Books,
    account_id: AccountId,
    request_id: RequestId,
    follow_up: FollowUp,
) -> Payload {
    match follow_up {
        FollowUp::ExpireAtOnce => {
            Payload::AuthorizationExpired(Box::new(AuthorizationExpired { reason: ExpiryReason::AuthorizedAfterFence }))
        }
        FollowUp::SettleLateUsage { due, lost } => {
            let unleased = books.accounts.get(&account_id).map_or(Nanocredits::ZERO, |account| account.unleased);
            // Below its key's cap its room may be promised to others by now: it is not charged any more.
            let is_capped = books.holds.get(&request_id).is_some_and(|hold| hold.key_period.is_some());
            let paid = if is_capped { Nanocredits::ZERO } else { due.min(unleased) };
            // Both are at most `due + lost`, which was checked when they were told apart.
            let loss = Nanocredits::new(lost.get() + (due.get() - paid.get()));
            Payload::CreditsAdjusted(Box::new(CreditsAdjusted {
                amount: Nanocredits::new(-paid.get()),
                loss,
                reference: format!("late-usage:{request_id}"),
                by: "ledger".to_owned(),
                why: "usage that came after its request had ended without a charge".to_owned(),
            }))
        }
    }
}
