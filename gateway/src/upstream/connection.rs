use std::fmt;
use std::sync::Arc;

use anyhow::Context;
use axum::http::{HeaderValue, Uri};

/// A provider that can be asked: its name in events, its address, our key there. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    name: &'static str,
    chat: Uri,
    key: String,
    authorization: HeaderValue,
}

impl Connection {
    /// A provider by name, base URL and key.
    ///
    /// # Errors
    /// When the key cannot stand in a header.
    pub fn new(name: &'static str, base: &Uri, key: &str) -> anyhow::Result<Self> {
        let base = base.to_string();
        let chat = format!("{}/chat/completions", base.trim_end_matches('/')).parse()?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {key}"))
            .with_context(|| format!("the key for {name} has characters that no header can carry"))?;
        authorization.set_sensitive(true);
        Ok(Self { inner: Arc::new(Inner { name, chat, key: key.to_owned(), authorization }) })
    }

    /// As it stands in events.
    pub fn name(&self) -> &'static str {
        self.inner.name
    }

    /// Where chat completions are asked.
    pub fn chat(&self) -> &Uri {
        &self.inner.chat
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
        write!(f, "Connection({}, {})", self.inner.name, self.inner.chat)
    }
}
