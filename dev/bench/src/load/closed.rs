//! A fixed number of connections, each of which asks again as soon as it has its answer.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Connection, Load, Measured, Outcome};

impl Load {
    /// Asks over so many connections for so long; whatever is begun is ended.
    pub(crate) async fn closed(&self, connections: usize, length: Duration) -> Result<Measured> {
        let mut opened = Vec::new();
        for _ in 0..connections {
            opened.push(self.connect().await?);
        }
        let begin = Instant::now();
        let mut all = JoinSet::new();
        for (number, connection) in opened.into_iter().enumerate() {
            let first = number * self.keys.len() / connections;
            all.spawn(self.clone().ask_until(connection, first, begin + length));
        }
        let mut answers = 0;
        while let Some(one) = all.join_next().await {
            answers += one??;
        }
        Ok(Measured { answers, took: begin.elapsed() })
    }

    async fn ask_until(self, mut connection: Connection, first: usize, end: Instant) -> Result<u64> {
        let mut answers = 0;
        for key in self.keys.iter().cycle().skip(first) {
            if Instant::now() >= end {
                break;
            }
            ensure!(connection.ask(key).await? == Outcome::Complete, "a closed loop of this size was shed");
            answers += 1;
        }
        Ok(answers)
    }
}
