use std::time::Duration;

use schemas::message::{AskCheckpoint, CheckpointReply, command_name};

use super::handle::Till;

/// Longer than the ledger takes at most.
const ANSWERED_WITHIN: Duration = Duration::from_secs(6);

impl Till {
    /// A signed checkpoint of the log that covers this position; none where the ledger does not answer.
    pub async fn checkpoint(&self, position: u64) -> Option<CheckpointReply> {
        let shared = &self.0.shared;
        let subject = shared.cell.command(command_name::CHECKPOINT);
        let ask = AskCheckpoint { position: Some(position) };
        match shared.bus.ask::<CheckpointReply>(subject, &ask, ANSWERED_WITHIN).await {
            Ok(Ok(reply)) => Some(reply),
            Ok(Err(refusal)) => {
                tracing::warn!(code = ?refusal.code, %refusal, "no checkpoint");
                None
            }
            Err(silence) => {
                tracing::warn!(%silence, "no checkpoint");
                None
            }
        }
    }
}
