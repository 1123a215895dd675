//! A provider on a free port, and a client that sees what really comes over the wire.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) struct Provider {
    address: SocketAddr,
    server: JoinHandle<()>,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// Without the transfer's own framing.
    pub(crate) body: String,
    /// Whether it came to its end.
    pub(crate) complete: bool,
}

impl Provider {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let app = simulator::server::app(None)?;
        #[expect(clippy::disallowed_methods, reason = "a server of a test owes no money")]
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, server })
    }

    /// A chat with one user message; `more` is merged into the request.
    pub(crate) async fn chat(&self, id: &str, text: &str, more: Value) -> Result<Reply> {
        let mut stream = self.send(id, text, more).await?;
        let mut bytes = Vec::new();
        // A cut may come as a reset.
        let _ = stream.read_to_end(&mut bytes).await;
        parse(&bytes)
    }

    /// Sends a chat and leaves the answer to the caller.
    pub(crate) async fn send(&self, id: &str, text: &str, more: Value) -> Result<TcpStream> {
        let mut body = json!({ "model": "openai/gpt-4o", "messages": [{ "role": "user", "content": text }] });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        self.write(
            "POST",
            "/v1/chat/completions",
            &format!("authorization: Bearer x\r\nx-request-id: {id}\r\n"),
            &body.to_string(),
        )
        .await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        let reply = self.call("GET", path, "", "").await?;
        ensure!(reply.status == 200, "{path} answers {}", reply.status);
        Ok(serde_json::from_str(&reply.body)?)
    }

    pub(crate) async fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> Result<Reply> {
        let mut bytes = Vec::new();
        self.write(method, path, headers, body).await?.read_to_end(&mut bytes).await?;
        parse(&bytes)
    }

    /// The line of one request in the bill, once it stands as `status`.
    pub(crate) async fn line(&self, id: &str, status: &str) -> Result<Value> {
        let wait = async {
            loop {
                let line = self.get("/stats?by=request").await?["requests"][id].take();
                if line["status"] == status {
                    return Ok(line);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.with_context(|| format!("{id} is not {status}"))?
    }

    async fn write(&self, method: &str, path: &str, headers: &str, body: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(self.address).await?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await?;
        Ok(stream)
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn parse(bytes: &[u8]) -> Result<Reply> {
    let text = String::from_utf8(bytes.to_vec())?;
    let (head, body) = text.split_once("\r\n\r\n").context("no complete head")?;
    let status = head.split(' ').nth(1).context("no status")?.parse()?;
    let head = head.to_ascii_lowercase();
    let (body, complete) = if head.contains("transfer-encoding: chunked") {
        unchunk(body)?
    } else {
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        (body.to_owned(), length == Some(&body.len().to_string()))
    };
    Ok(Reply { status, head, body, complete })
}

fn unchunk(mut body: &str) -> Result<(String, bool)> {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16)?;
        if size == 0 {
            return Ok((whole, true));
        }
        whole.push_str(&rest[..size.min(rest.len())]);
        body = rest.get(size + 2..).unwrap_or_default();
    }
    Ok((whole, false))
}

impl Reply {
    /// The `data:` of each event of a stream.
    pub(crate) fn events(&self) -> Vec<&str> {
        let lines = self.body.split("\n").map(|line| line.trim_end_matches('\r'));
        lines.filter_map(|line| line.strip_prefix("data: ")).collect()
    }

    /// The events of a stream that are JSON.
    pub(crate) fn chunks(&self) -> Vec<Value> {
        self.events().into_iter().filter_map(|event| serde_json::from_str(event).ok()).collect()
    }

    /// All content of a stream.
    pub(crate) fn content(&self) -> String {
        self.chunks()
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
            .collect()
    }
}
