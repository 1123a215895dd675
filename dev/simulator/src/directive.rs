//! What a request wants to be simulated: `simulate: prompt_tokens=2000 chunks=8 …` in the last user message.

use std::str::FromStr;

/// Marks the beginning of a directive; text before it is an ordinary prompt.
const MARK: &str = "simulate:";

/// The wishes of one request. Times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directive {
    /// Tokens of the prompt, all kinds together.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, reasoning included, over all choices; still limited by the request.
    pub completion_tokens: Option<u64>,
    /// Tokens of the prompt that were read from the cache.
    pub cached_tokens: u64,
    /// Tokens of the prompt that were written to the cache.
    pub cache_write_tokens: u64,
    /// Tokens of the answer that were reasoning.
    pub reasoning_tokens: u64,
    /// Content chunks of a stream.
    pub chunks: Option<u64>,
    /// Pause between two content chunks.
    pub chunk_ms: u64,
    /// Pause before the answer begins.
    pub latency_ms: u64,
    /// HTTP status; other than 200 it is an error answer.
    pub status: Option<u16>,
    /// Seconds in the `retry-after` header of an error answer.
    pub retry_after: Option<u64>,
    /// Cut the connection after that many content chunks, or in the middle of a whole answer.
    pub cut_after: Option<u64>,
    /// An error event after that many content chunks.
    pub error_after: Option<u64>,
    /// Leave the usage out.
    pub no_usage: bool,
    /// Usage rides on the chunk with the finish reason.
    pub usage_at_finish: bool,
    /// Usage rides on each content chunk, counted from the beginning.
    pub usage_all_along: bool,
    /// Images made, where that is not as many as were asked for.
    pub images: Option<u64>,
    /// Numbers, though a text was asked for (embeddings).
    pub floats: bool,
    /// Do not obey the request's output limit.
    pub ignore_max: bool,
    /// A body, or one event of a stream, that is not JSON.
    pub malformed: bool,
    /// Answer with a call of the first tool.
    pub tool_call: bool,
    /// Comments between the chunks.
    pub comment: bool,
    /// Lines end with CR LF.
    pub crlf: bool,
    /// Write a stream in pieces that do not end where events end.
    pub split: bool,
    /// Accept the request and never answer.
    pub hang: bool,
}

impl Directive {
    /// The directive in a message; an empty one if there is none.
    ///
    /// # Errors
    /// When a wish is not known or its value does not fit: a misspelt test should not pass.
    pub fn in_text(text: &str) -> Result<Self, String> {
        let mut directive = Self::default();
        if let Some((_, wishes)) = text.rsplit_once(MARK) {
            directive.also(wishes)?;
        }
        Ok(directive)
    }

    /// More wishes, up to what is none; they count where they say something else.
    ///
    /// # Errors
    /// As [`Self::in_text`].
    pub fn also(&mut self, wishes: &str) -> Result<(), String> {
        for wish in wishes.split_whitespace() {
            let Some((name, value)) = wish.split_once('=') else { break };
            self.set(name, value)?;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "prompt_tokens" => self.prompt_tokens = Some(number(name, value)?),
            "completion_tokens" => self.completion_tokens = Some(number(name, value)?),
            "cached_tokens" => self.cached_tokens = number(name, value)?,
            "cache_write_tokens" => self.cache_write_tokens = number(name, value)?,
            "reasoning_tokens" => self.reasoning_tokens = number(name, value)?,
            "chunks" => self.chunks = Some(number(name, value)?),
            "chunk_ms" => self.chunk_ms = number(name, value)?,
            "latency_ms" => self.latency_ms = number(name, value)?,
            "status" => self.status = Some(number(name, value)?).filter(|status| *status != 200),
            "retry_after" => self.retry_after = Some(number(name, value)?),
            "cut_after" => self.cut_after = Some(number(name, value)?),
            "error_after" => self.error_after = Some(number(name, value)?),
            "no_usage" => self.no_usage = flag(name, value)?,
            "usage_at" if value == "finish" => self.usage_at_finish = true,
            "usage_at" if value == "all" => self.usage_all_along = true,
            "images" => self.images = Some(number(name, value)?),
            "floats" => self.floats = flag(name, value)?,
            "ignore_max" => self.ignore_max = flag(name, value)?,
            "malformed" => self.malformed = flag(name, value)?,
            "tool_call" => self.tool_call = flag(name, value)?,
            "comment" => self.comment = flag(name, value)?,
            "crlf" => self.crlf = flag(name, value)?,
            "split" => self.split = flag(name, value)?,
            "hang" => self.hang = flag(name, value)?,
            _ => return Err(format!("simulate: {name}={value} is not known")),
        }
        Ok(())
    }
}

fn number<T: FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("simulate: {name}={value} is not a fitting number"))
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(format!("simulate: {name}={value} is neither 0 nor 1")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mark_counts_and_text_before_it_does_not() {
        let text =
            "simulate: chunks=9 please.\n\nsimulate: prompt_tokens=2000 completion_tokens=1000 no_usage=1 status=200";
        let directive = Directive::in_text(text);
        let expected = Directive {
            prompt_tokens: Some(2000),
            completion_tokens: Some(1000),
            no_usage: true,
            ..Directive::default()
        };
        assert_eq!(directive, Ok(expected));
    }

    #[test]
    fn what_is_wished_of_all_requests_comes_on_top() {
        let mut directive = Directive::in_text("simulate: prompt_tokens=7 status=429").unwrap_or_default();
        assert_eq!(directive.also("status=200 hang=1"), Ok(()));
        let expected = Directive { prompt_tokens: Some(7), hang: true, ..Directive::default() };
        assert_eq!(directive, expected);
    }

    #[test]
    fn ordinary_text_wishes_nothing() {
        assert_eq!(Directive::in_text("Please simulate: a coin toss"), Ok(Directive::default()));
        assert_eq!(Directive::in_text("hello"), Ok(Directive::default()));
    }

    #[test]
    fn a_misspelt_wish_is_an_error() {
        assert!(Directive::in_text("simulate: chunk=3").is_err());
        assert!(Directive::in_text("simulate: chunks=many").is_err());
        assert!(Directive::in_text("simulate: crlf=yes").is_err());
    }
}
