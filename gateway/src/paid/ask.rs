use crate::splice::Object;

/// A request, read: what every route that costs money says of it. Nothing of it is changed yet.
#[derive(Debug)]
pub(crate) struct Ask<'a> {
    /// The body.
    pub(crate) body: Object<'a>,
    /// The model, as the client calls it.
    pub(crate) model: String,
    /// Models that may answer where that one fails, as the client calls them.
    pub(crate) fallbacks: Vec<String>,
    /// Whether the answer is wanted chunk by chunk.
    pub(crate) stream: bool,
    /// Whether a stream ends with an event for its usage; of no meaning where the usage is a part of the last event.
    pub(crate) include_usage: bool,
    /// What the model reads.
    pub(crate) reads: Reads,
    /// What the model writes.
    pub(crate) writes: Writes,
    /// What is done with a whole answer before it goes to the client.
    pub(crate) finish: Option<Finish>,
}

/// Changes the text of a whole answer; `None` where nothing is to be changed.
pub(crate) type Finish = fn(&str) -> Option<String>;

/// What a model will read, as far as its price depends on it. All of it lies in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Messages, or whatever providers put markers round.
    pub(crate) messages: u64,
    /// The longest of them: its place and the characters of its content, as they are written in JSON.
    pub(crate) longest: (usize, usize),
    /// Images that are looked at in full.
    pub(crate) images: u64,
    /// Images that are looked at in low detail.
    pub(crate) low_images: u64,
    /// Files, such as PDFs.
    pub(crate) files: u64,
    /// Tokens that come as their numbers.
    pub(crate) tokens: u64,
    /// Parts of the body that no model reads as text: image data, the numbers of tokens. Bytes.
    pub(crate) no_text_bytes: u64,
    /// Tools that the model is told of.
    pub(crate) tools: u64,
    /// Tokens of hidden prompts beyond the price book's allowances, for tools that the provider describes itself.
    pub(crate) hidden_tokens: u64,
    /// Whether the answer must follow a schema.
    pub(crate) structured: bool,
}

impl Reads {
    /// Takes notice of how long a message is.
    pub(crate) fn measure(&mut self, index: usize, content: &str) {
        // As many bytes as the longest has characters are needed to be longer.
        if content.len() > self.longest.1 {
            let characters = content.chars().count();
            if characters > self.longest.1 {
                self.longest = (index, characters);
            }
        }
    }
}

/// What a model may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Writes {
    /// Answers wanted.
    pub(crate) answers: u64,
    /// Tokens of each.
    pub(crate) limit: Limit,
    /// Output that the provider may bill beside the limit: what the model thinks, where that is counted apart.
    pub(crate) beside_limit: u64,
    /// Images of each answer, at most, of a model that makes images.
    pub(crate) images: u64,
}

/// How many tokens an answer may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// The route writes no text.
    None,
    /// The client names a limit: the larger one if it names two.
    Named(u64),
    /// It names none, so one is filled in.
    Unnamed,
}
