use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use schemas::ids::AccountId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::places::Place;
use super::read::{Logged, PAGE};
use super::told::{Standing, Told};
use crate::edge::Edge;
use crate::error::Error;
use crate::till::NotAuthenticated;

/// Proxies end what is silent for longer.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const COMMENT: &str = ": keep-alive\n\n";
/// How soon clients come again after the end, milliseconds.
const RETRY: &str = "retry: 1000\n";
/// Between two looks of a feed, however much happens: what comes meanwhile is told together.
const PACE: Duration = Duration::from_millis(100);
/// After word of a position, until the read models are there. Doubled, look by look …
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// … up to here.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An open feed.
pub(super) struct Course {
    edge: Edge,
    account: AccountId,
    secret: Option<String>,
    announced: watch::Receiver<u64>,
    /// All up to here was told.
    cursor: i64,
    standing: Standing,
    first: Option<String>,
    follow: bool,
    looked: Instant,
    pause: Duration,
    _place: Place,
}

impl Course {
    /// After this position; with what there is now, where none is named.
    pub(super) async fn begin(
        edge: Edge,
        account: AccountId,
        secret: Option<String>,
        place: Place,
        last: Option<u64>,
        follow: bool,
    ) -> Result<Self, Error> {
        let feeds = edge.feeds().ok_or(Error::CannotRead)?;
        let after = last.map(|last| i64::try_from(last).unwrap_or(i64::MAX));
        let beginning = feeds.beginning(account, after).await.map_err(unreadable)??;
        // Something at once, so that the client knows that it is heard.
        let mut first = COMMENT.to_owned();
        if last.is_none() {
            RETRY.clone_into(&mut first);
            Told::beginning(&beginning).write(&mut first).map_err(|_| Error::Internal)?;
        }
        let (cursor, standing) = (beginning.position, beginning.standing);
        let announced = edge.till().announced();
        let (looked, pause) = (Instant::now(), FIRST_PAUSE);
        let first = Some(first);
        Ok(Self { edge, account, secret, announced, cursor, standing, first, follow, looked, pause, _place: place })
    }

    /// Piece by piece, as the client takes them, to its end.
    pub(super) fn pieces(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, async |mut course| Some((Ok(Bytes::from(course.next().await?)), course)))
    }

    /// The next events, or a comment when nothing happens; none at the end.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        let silent_until = Instant::now() + KEEP_ALIVE;
        let stopping = self.edge.stopping().clone();
        let news = async {
            loop {
                let reached = match self.look().await {
                    Ok((_, told)) if !told.is_empty() => return Some(told),
                    Ok((reached, _)) => reached,
                    // A client goes on where the last event was; an event that cannot be told is not passed over.
                    Err(Ended) => return None,
                };
                if !self.follow {
                    return None;
                }
                self.wait(reached).await;
            }
        };
        let news = tokio::select! {
            biased;
            () = stopping.cancelled() => return None,
            news = timeout_at(silent_until, news) => news,
        };
        match news {
            Ok(news) => news,
            Err(_) => self.is_let_in().await.then(|| COMMENT.to_owned()),
        }
    }

    /// What there is after the cursor, as it is sent, and how far the read models are. Nothing of the feed changes before
    /// its last wait is over, so it can be given up at any time.
    async fn look(&mut self) -> Result<(i64, String), Ended> {
        self.looked = Instant::now();
        let feeds = self.edge.feeds().ok_or(Ended)?;
        let page = match feeds.page(self.account, self.cursor).await {
            Ok(Some(page)) => page,
            Ok(None) => return Ok((-1, String::new())),
            Err(error) => {
                unreadable(error);
                return Ok((-1, String::new()));
            }
        };
        if !page.events.is_empty() && !self.is_let_in().await {
            return Err(Ended);
        }
        let is_all = page.events.len() < PAGE;
        let told = self.tell(page.events)?;
        if is_all {
            self.cursor = self.cursor.max(page.reached);
        }
        Ok((page.reached, told))
    }

    fn tell(&mut self, events: Vec<Logged>) -> Result<String, Ended> {
        let mut out = String::new();
        for logged in events {
            let told = Told::next(&logged, &mut self.standing).and_then(|told| {
                told.map(|told| told.write(&mut out)).transpose()?;
                Ok(())
            });
            if let Err(error) = told {
                tracing::error!(account.id = %self.account, position = logged.position, %error, "feed.untellable");
                return Err(Ended);
            }
            self.cursor = logged.position;
        }
        Ok(out)
    }

    /// Until there may be something after the position that the read models have reached.
    async fn wait(&mut self, reached: i64) {
        let announced = i64::try_from(*self.announced.borrow_and_update()).unwrap_or(i64::MAX);
        if announced <= reached {
            if self.announced.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            self.pause = FIRST_PAUSE;
            sleep_until((self.looked + PACE).max(Instant::now() + FIRST_PAUSE)).await;
        } else {
            sleep_until((self.looked + self.pause).max(Instant::now())).await;
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether the key that opened the feed is still good. While that cannot be found out, it is.
    async fn is_let_in(&self) -> bool {
        let Some(secret) = &self.secret else { return true };
        match self.edge.till().authenticate(secret).await {
            Ok(_) | Err(NotAuthenticated::Unavailable) => true,
            Err(_) => false,
        }
    }
}

/// There is nothing more to tell this client.
struct Ended;

fn unreadable(error: sqlx::Error) -> Error {
    tracing::warn!(%error, "feed.unreadable");
    Error::CannotRead
}
