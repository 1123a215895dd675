use std::fmt;
use std::sync::Arc;

use anyhow::Context;
use axum::http::{HeaderMap, HeaderValue, Uri};

/// What a provider can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// OpenAI's embeddings.
    Embeddings,
    /// OpenAI's image generations.
    Images,
    /// Anthropic's messages.
    Messages,
}

impl Api {
    /// All of them, each at its own number.
    pub const ALL: [Self; 5] = [Self::Chat, Self::Responses, Self::Embeddings, Self::Images, Self::Messages];

    /// As it is called where upstreams are set up.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Images => "images",
            Self::Messages => "messages",
        }
    }

    /// Below the provider's base URL.
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Embeddings => "/embeddings",
            Self::Images => "/images/generations",
            Self::Messages => "/messages",
        }
    }
}

/// Who is asked, for what, and with which headers of the client's own.
#[derive(Clone, Debug)]
pub struct ToAsk {
    /// Who.
    pub connection: Connection,
    /// For what.
    pub api: Api,
    /// Headers that the client sent and the provider understands.
    pub headers: HeaderMap,
}

/// A provider that can be asked: its name in events, its address, our key there. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    base: String,
    uris: [Uri; Api::ALL.len()],
    key: String,
    authorization: HeaderValue,
}

impl Connection {
    /// A provider by name, base URL and key.
    ///
    /// # Errors
    /// When the key cannot stand in a header.
    pub fn new(name: &str, base: &Uri, key: &str) -> anyhow::Result<Self> {
        let base = base.to_string().trim_end_matches('/').to_owned();
        let mut uris = Api::ALL.map(|_| Uri::default());
        for (uri, api) in uris.iter_mut().zip(Api::ALL) {
            *uri = format!("{base}{}", api.path()).parse()?;
        }
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}"))
            .with_context(|| format!("the key for {name} has characters that no header can carry"))?;
        authorization.set_sensitive(true);
        Ok(Self { inner: Arc::new(Inner { name: name.to_owned(), base, uris, key: key.to_owned(), authorization }) })
    }

    /// As it stands in events.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Whether both are the same one, not only alike.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Where an interface of it is.
    pub fn uri(&self, api: Api) -> &Uri {
        &self.inner.uris[api as usize]
    }

    pub(super) fn authorization(&self) -> HeaderValue {
        self.inner.authorization.clone()
    }

    /// Whether a text that the provider wrote gives our key away.
    pub fn gives_key_away(&self, text: &str) -> bool {
        text.contains(&self.inner.key)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({}, {})", self.inner.name, self.inner.base)
    }
}
