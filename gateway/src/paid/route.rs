use axum::http::HeaderName;
use schemas::event::RequestKind;
use schemas::price_book::Model;

use super::ask::Ask;
use super::said::Said;
use crate::error::{Dialect, Error, Invalid};
use crate::splice::Splice;
use crate::upstream::Api;

/// One route that costs money, as far as it differs from the others. Pure: the mechanism around it does the rest, and
/// does it for all of them alike.
pub(crate) trait Route: Send + Sync {
    /// As it stands in events.
    fn kind(&self) -> RequestKind;

    /// Where the provider is asked.
    fn api(&self) -> Api;

    /// What its members are called.
    fn words(&self) -> &'static Words;

    /// How its errors look.
    fn dialect(&self) -> Dialect {
        Dialect::OpenAi
    }

    /// Whether this model answers here.
    fn is_answered_by(&self, model: &Model) -> bool;

    /// Headers of the client that the provider gets as well.
    fn passed_on(&self) -> &'static [HeaderName] {
        &[]
    }

    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong with it, or cannot be priced.
    fn read<'a>(&self, text: &'a str) -> Result<Ask<'a>, Invalid>;

    /// Refuses what this model cannot do at the price of the book.
    ///
    /// # Errors
    /// What that is.
    fn check_model(&self, _ask: &Ask<'_>, _model: &Model) -> Result<(), Error> {
        Ok(())
    }

    /// What is said where there is no such model.
    fn unknown_model(&self, error: Error) -> Error {
        error
    }

    /// Changes what must be changed beside the model and the output limit.
    fn rewrite(&self, _ask: &Ask<'_>, _splice: &mut Splice<'_, '_>) {}

    /// Reads a whole answer; `None` if it is none.
    fn whole<'a>(&self, text: &'a str) -> Option<Said<'a>>;

    /// Reads the data of one event of a stream; `None` if it is none.
    fn event<'a>(&self, text: &'a str) -> Option<Said<'a>>;

    /// Whether a stream ends with `[DONE]`.
    fn ends_with_done(&self) -> bool {
        false
    }

    /// The last event, for a provider that has said everything else and forgets it.
    fn last_event(&self) -> Option<&'static str> {
        None
    }

    /// The event that tells the usage, for a client that asked for one and a provider that sends none: `id`, `model` and
    /// `usage` are JSON.
    fn usage_event(&self, _id: &str, _model: &str, _usage: &str) -> Option<String> {
        None
    }
}

/// What the members of a route are called.
#[derive(Debug)]
pub(crate) struct Words {
    /// What it does: "chat".
    pub(crate) does: &'static str,
    /// Its prompt, in requests.
    pub(crate) prompt: &'static str,
    /// Its output limit, in requests; the one that is filled in.
    pub(crate) limit: &'static str,
    /// Where the usage is in an event of a stream.
    pub(crate) usage_of_event: &'static [&'static str],
    /// Tokens read, in the usage.
    pub(crate) read: &'static str,
    /// Tokens written, in the usage, where any are.
    pub(crate) written: Option<&'static str>,
    /// Whether the usage adds them up.
    pub(crate) total: bool,
}
