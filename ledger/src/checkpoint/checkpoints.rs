use std::sync::Arc;
use std::time::Duration;

use schemas::message::{Refusal, RefusalCode};
use tokio::sync::watch;
use tokio::time::timeout;

use super::signed::Signed;
use crate::append::View;

/// Committing, signing and storing take milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for checkpoints. Whoever asks meanwhile gets the same one.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    pub(super) wanted: Arc<watch::Sender<u64>>,
    pub(super) newest: watch::Receiver<Option<Signed>>,
    pub(super) view: watch::Receiver<View>,
}

impl Checkpoints {
    /// A checkpoint that covers this position, or the last one; signed now if there is none.
    ///
    /// # Errors
    /// When it cannot be signed in time, or the log is not as long.
    pub async fn covering(&self, position: Option<u64>) -> Result<Signed, Refusal> {
        let position = position.unwrap_or_else(|| self.view.borrow().head.position);
        timeout(PATIENCE, self.wait(position)).await.ok().flatten().ok_or_else(|| Refusal {
            code: RefusalCode::Unavailable,
            message: format!("no checkpoint covers position {position} yet"),
        })
    }

    async fn wait(&self, position: u64) -> Option<Signed> {
        // Who asks may have read the database before this process was told of its own commit.
        self.view.clone().wait_for(|view| view.head.position >= position).await.ok()?;
        let covers = |signed: &Option<Signed>| signed.as_ref().is_some_and(|signed| signed.size >= position);
        if !covers(&self.newest.borrow()) {
            self.wanted.send_if_modified(|wanted| {
                let more = *wanted < position;
                *wanted = position.max(*wanted);
                more
            });
        }
        self.newest.clone().wait_for(covers).await.ok()?.clone()
    }
}
