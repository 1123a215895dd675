use std::time::Duration;

use schemas::message::{AccountOpenedReply, OpenAccount, command_name};
use schemas::tier::Tier;

use super::caller::{Caller, NotAuthenticated};
use super::shared::Shared;

/// By this the ledger knows the built-in account again.
const REFERENCE: &str = "layers-test-mode";
const PLAN: Tier = Tier::Team;
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

/// Opens the built-in account, or finds it, and gives its sandbox.
pub(super) async fn open_account(shared: &Shared) -> Result<Caller, NotAuthenticated> {
    let command = OpenAccount {
        tier: PLAN,
        reference: Some(REFERENCE.into()),
        by: "gateway".into(),
        why: "requests without a key in test mode".into(),
    };
    let subject = shared.cell.command(command_name::OPEN_ACCOUNT);
    match shared.bus.ask::<AccountOpenedReply>(subject, &command, ANSWERED_WITHIN).await {
        Ok(Ok(opened)) => Ok(Caller {
            api_key_id: None,
            account_id: opened.sandbox_account_id,
            livemode: false,
            tier: PLAN,
            restrictions: Default::default(),
        }),
        Ok(Err(refusal)) => {
            tracing::warn!(%refusal, "the test mode's account cannot be opened");
            Err(NotAuthenticated::Unavailable)
        }
        Err(silence) => {
            tracing::warn!(%silence, "the test mode's account cannot be opened");
            Err(NotAuthenticated::Unavailable)
        }
    }
}
