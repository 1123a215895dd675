//! What waits for the writer, in two lanes.
//!
//! | lane | what | its order |
//! |---|---|---|
//! | in order | messages of the stream, and commands that must see all of them that were read before | as it came |
//! | ahead | commands that depend on nothing that is still to be applied: leases, an operator's | before the messages that wait |
//!
//! A gateway whose lease is used up does not wait for thousands of events of others; and the stream goes on whoever asks,
//! since at most half of a batch comes from ahead.

use schemas::event::Event;
use schemas::message::{Refusal, RefusalCode};
use tokio::sync::{mpsc, oneshot};

use super::message::{StreamMessage, Unreadable};
use super::writer::{Command, Outcome};

/// What the writer takes.
pub enum Item {
    /// From the stream, with the event in it if it should be one.
    Message(StreamMessage, Option<Result<Event, Unreadable>>),
    /// From anyone else.
    Command(Box<dyn Command>, oneshot::Sender<Outcome>),
}

/// Hands items to the writer.
#[derive(Clone)]
pub struct Submit {
    in_order: mpsc::Sender<Item>,
    ahead: mpsc::Sender<Item>,
}

/// The writer's end.
pub struct Inbox {
    in_order: mpsc::Receiver<Item>,
    ahead: mpsc::Receiver<Item>,
}

/// Both ends; as many items wait in each lane at most.
pub fn inbox(places: usize) -> (Submit, Inbox) {
    let (in_order, items) = mpsc::channel(places);
    let (ahead, first) = mpsc::channel(places);
    (Submit { in_order, ahead }, Inbox { in_order: items, ahead: first })
}

impl Submit {
    /// Hands an item over, after all that were handed over so; false if the writer is gone.
    pub async fn item(&self, item: Item) -> bool {
        self.in_order.send(item).await.is_ok()
    }

    /// A command after all messages that were handed over before. Waits for the batch that it is in to be committed.
    ///
    /// # Errors
    /// When it is refused, or the writer is gone.
    pub async fn command(&self, command: impl Command + 'static) -> Outcome {
        decided(&self.in_order, command).await
    }

    /// A command before the messages that wait. Waits for the batch that it is in to be committed.
    ///
    /// # Errors
    /// When it is refused, or the writer is gone.
    pub async fn command_ahead(&self, command: impl Command + 'static) -> Outcome {
        decided(&self.ahead, command).await
    }

    /// The writer is gone.
    pub fn is_closed(&self) -> bool {
        self.in_order.is_closed()
    }
}

async fn decided(lane: &mpsc::Sender<Item>, command: impl Command + 'static) -> Outcome {
    let gone = || Refusal { code: RefusalCode::Unavailable, message: "the ledger is stopping".to_owned() };
    let (reply, outcome) = oneshot::channel();
    lane.send(Item::Command(Box::new(command), reply)).await.map_err(|_| gone())?;
    outcome.await.map_err(|_| gone())?
}

impl Inbox {
    /// Waits for the first item and takes what is there, so many at most. False once nobody sends any more.
    pub(super) async fn collect(&mut self, items: &mut Vec<Item>, most: usize) -> bool {
        let first = tokio::select! {
            biased;
            item = self.ahead.recv() => item,
            item = self.in_order.recv() => item,
        };
        items.extend(first);
        take(&mut self.ahead, items, most / 2);
        take(&mut self.in_order, items, most);
        !items.is_empty()
    }
}

fn take(lane: &mut mpsc::Receiver<Item>, items: &mut Vec<Item>, most: usize) {
    while items.len() < most
        && let Ok(item) = lane.try_recv()
    {
        items.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::append::{Batch, Touched, answer};

    struct Named(&'static str);

    impl Command for Named {
        fn touches(&self, _: &mut Touched) {}

        fn decide(&self, _: &mut Batch<'_>) -> Outcome {
            answer(&self.0)
        }
    }

    fn item(name: &'static str) -> Item {
        Item::Command(Box::new(Named(name)), oneshot::channel().0)
    }

    fn names(items: &mut Vec<Item>) -> Vec<String> {
        let mut state = crate::append::State::default();
        let mut batch = Batch::new(&mut state, chrono::Utc::now(), uuid::Uuid::now_v7);
        let mut name = |item| match item {
            Item::Command(command, _) => String::from_utf8(command.decide(&mut batch).unwrap()).unwrap(),
            Item::Message(..) => unreachable!("there are only commands here"),
        };
        items.drain(..).map(|item| name(item).trim_matches('"').to_owned()).collect()
    }

    #[tokio::test]
    async fn what_is_ahead_comes_first_and_holds_nothing_up() {
        let (submit, mut inbox) = inbox(16);
        for name in ["1", "2", "3"] {
            assert!(submit.item(item(name)).await);
        }
        for name in ["a", "b", "c"] {
            submit.ahead.send(item(name)).await.unwrap();
        }
        let mut items = Vec::new();
        assert!(inbox.collect(&mut items, 4).await);
        assert_eq!(names(&mut items), ["a", "b", "1", "2"], "half of a batch at most");
        assert!(inbox.collect(&mut items, 4).await);
        assert_eq!(names(&mut items), ["c", "3"]);
        assert!(submit.item(item("4")).await);
        drop(submit);
        assert!(inbox.collect(&mut items, 4).await);
        assert_eq!(names(&mut items), ["4"], "what was said before the end is heard");
        assert!(!inbox.collect(&mut items, 4).await);
    }
}
