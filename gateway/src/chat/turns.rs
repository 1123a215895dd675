//! Whose turn it is: each result of a tool belongs to a call, and each call gets a result.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::error::Invalid;

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
}

/// The calls that wait for their results.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Results may come: the last message that was none made calls.
    called: bool,
    /// The ids of calls without a result.
    open: Vec<String>,
}

impl Turns {
    /// A message of the assistant or somebody else.
    pub(super) fn said(&mut self, index: usize, calls: Option<&RawValue>) -> Result<(), Invalid> {
        self.end(index)?;
        let calls: Option<Vec<Call<'_>>> = calls.and_then(|calls| serde_json::from_str(calls.get()).ok());
        self.called = calls.is_some();
        self.open = calls.into_iter().flatten().filter_map(|call| Some(call.id?.into_owned())).collect();
        Ok(())
    }

    /// The result of a tool.
    pub(super) fn result(&mut self, index: usize, of: Option<&RawValue>) -> Result<(), Invalid> {
        if !self.called {
            // Spelt as OpenAI spells it.
            let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with \
                           'tool_calls'.";
            return Err(wrong(index, message.into()));
        }
        let of: Option<String> = of.and_then(|id| serde_json::from_str(id.get()).ok());
        self.open.retain(|id| Some(id) != of.as_ref());
        Ok(())
    }

    /// Something other than a result comes, or nothing more.
    pub(super) fn end(&mut self, index: usize) -> Result<(), Invalid> {
        if self.open.is_empty() {
            return Ok(());
        }
        const SHOWN: usize = 200;
        let open: String = self.open.join(", ").chars().take(SHOWN).collect();
        let message = format!(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The \
             following tool_call_ids did not have response messages: {open}"
        );
        Err(wrong(index, message))
    }
}

fn wrong(index: usize, message: String) -> Invalid {
    Invalid { code: None, param: Some(format!("messages.[{index}].role")), message }
}
