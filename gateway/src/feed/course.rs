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
    /// How far the read models were at the last look.
    reached: i64,
    looked: Instant,
    /// The next look is not before this.
    look_at: Instant,
    pause: Duration,
    /// Nothing more is told.
    over: bool,
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
        let now = Instant::now();
        Ok(Self {
            edge,
            account,
            secret,
            announced,
            cursor,
            standing,
            first: Some(first),
            follow,
            reached: -1,
            looked: now,
            look_at: now,
            pause: FIRST_PAUSE,
            over: false,
            _place: place,
        })
    }

    /// Piece by piece, as the client takes them, to its end; an error cuts the answer, so that nobody takes it for whole.
    pub(super) fn pieces(self) -> impl Stream<Item = Result<Bytes, Broken>> {
        unfold(self, async |mut course| {
            if course.over {
                return None;
            }
            let piece = course.next().await.transpose()?;
            course.over |= piece.is_err();
            Some((piece.map(Bytes::from), course))
        })
    }

    /// The next events, or a comment when nothing happens; none at the end.
    async fn next(&mut self) -> Result<Option<String>, Broken> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let silent_until = Instant::now() + KEEP_ALIVE;
        let stopping = self.edge.stopping().clone();
        let news = async {
            loop {
                sleep_until(self.look_at).await;
                let told = self.look().await?;
                if self.over || !told.is_empty() {
                    return Ok(Some(told).filter(|told| !told.is_empty()));
                }
                self.wait().await;
            }
        };
        let news = tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(None),
            news = timeout_at(silent_until, news) => news,
        };
        match news {
            Ok(news) => news,
            Err(_) => Ok(self.is_let_in().await.then(|| COMMENT.to_owned())),
        }
    }

    /// What there is after the cursor, as it is sent. What is told is not changed before the last wait in here is over, so
    /// that it can be given up at any time.
    async fn look(&mut self) -> Result<String, Broken> {
        self.looked = Instant::now();
        let feeds = self.edge.feeds().ok_or(Broken)?;
        let page = match feeds.page(self.account, self.cursor).await {
            Ok(Some(page)) => page,
            failed => {
                let _ = failed.map_err(unreadable);
                // Who follows waits for the database; who does not must not take this for all that there is.
                return if self.follow { Ok(String::new()) } else { Err(Broken) };
            }
        };
        if !page.events.is_empty() && !self.is_let_in().await {
            self.over = true;
            return Ok(String::new());
        }
        let is_all = page.events.len() < PAGE;
        let told = self.tell(page.events)?;
        if page.reached > self.reached {
            // They go on, so they are not waited for more often than is told.
            self.pause = PACE;
        }
        self.reached = page.reached;
        if is_all {
            self.cursor = self.cursor.max(page.reached);
            self.over = !self.follow;
            self.look_at = self.looked + PACE;
        }
        Ok(told)
    }

    fn tell(&mut self, events: Vec<Logged>) -> Result<String, Broken> {
        let mut out = String::new();
        for logged in events {
            let told = Told::next(&logged, &mut self.standing).and_then(|told| {
                told.map(|told| told.write(&mut out)).transpose()?;
                Ok(())
            });
            if let Err(error) = told {
                tracing::error!(account.id = %self.account, position = logged.position, %error, "feed.untellable");
                return Err(Broken);
            }
            self.cursor = logged.position;
        }
        Ok(out)
    }

    /// Until there may be something after the position that the read models have reached, and until when the next look has to
    /// wait.
    async fn wait(&mut self) {
        let announced = i64::try_from(*self.announced.borrow_and_update()).unwrap_or(i64::MAX);
        if announced <= self.reached {
            if self.announced.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            self.pause = FIRST_PAUSE;
            self.look_at = (self.looked + PACE).max(Instant::now() + FIRST_PAUSE);
        } else {
            // The ledger is further than the read models: they are there in a moment, or somebody has to mend them.
            self.look_at = self.looked + self.pause;
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

/// The feed cannot go on here, and has not come to its end.
#[derive(Debug, thiserror::Error)]
#[error("the feed broke off")]
pub(super) struct Broken;

fn unreadable(error: sqlx::Error) -> Error {
    tracing::warn!(%error, "feed.unreadable");
    Error::CannotRead
}
