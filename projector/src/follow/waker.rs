use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::time::timeout;

use super::connection_lost;

/// What the ledger calls in the transaction of each append.
const CHANNEL: &str = "ledger_appended";

/// Wakes the follower when something was appended.
pub(super) struct Waker {
    listener: PgListener,
}

impl Waker {
    pub(super) async fn new(options: &PgConnectOptions) -> Result<Self, sqlx::Error> {
        let pool: PgPool = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self { listener })
    }

    /// Waits for an append, at most so long. Calls that came meanwhile are taken as one.
    pub(super) async fn wait(&mut self, at_most: Duration) -> Result<(), sqlx::Error> {
        // Not `recv`: that would reconnect in silence. A lost connection is the session's end.
        match timeout(at_most, self.listener.try_recv()).await {
            Ok(Ok(Some(_))) => while self.listener.next_buffered().is_some() {},
            Ok(Ok(None)) => return Err(connection_lost("the listening connection was lost")),
            Ok(Err(error)) => return Err(error),
            Err(_) => {}
        }
        Ok(())
    }
}
