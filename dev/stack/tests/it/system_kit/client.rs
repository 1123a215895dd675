//! A client with a connection of its own for each request, so that it can leave in the middle, and that never waits for
//! ever.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// "Nothing hangs": whatever a gateway is asked, it says something within this time.
const NOTHING_HANGS: Duration = Duration::from_secs(30);

/// Asks one gateway.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    address: String,
    /// Its own address; the system's choice where none is named.
    from: Option<Ipv4Addr>,
}

/// An answer, heard to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: Bytes,
}

/// An answer whose beginning was heard. Dropped, the client is gone.
pub(crate) struct Stream {
    pub(crate) status: u16,
    headers: HeaderMap,
    body: Incoming,
    heard: BytesMut,
    _connection: JoinSet<()>,
}

/// One server-sent event, as it came over the wire, without its blank line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event(pub(crate) String);

impl Client {
    pub(crate) fn new(url: &str) -> Self {
        Self { address: url.trim_start_matches("http://").to_owned(), from: None }
    }

    /// The same as seen from another address of this machine.
    pub(crate) fn from(self, address: Ipv4Addr) -> Self {
        Self { from: Some(address), ..self }
    }

    /// `POST /v1/chat/completions`, heard to its end.
    pub(crate) async fn chat(&self, key: &str, body: &Value) -> Answer {
        self.open_chat(key, body).await.whole().await
    }

    /// `POST /v1/chat/completions`; the head of the answer has come.
    pub(crate) async fn open_chat(&self, key: &str, body: &Value) -> Stream {
        self.open_post("/v1/chat/completions", key, body).await
    }

    /// `POST path` with a key, heard to its end.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.open_post(path, key, body).await.whole().await
    }

    /// `POST path` with a key; the head of the answer has come.
    pub(crate) async fn open_post(&self, path: &str, key: &str, body: &Value) -> Stream {
        let authorization = format!("Bearer {key}");
        self.open(request(Method::POST, path, &[("authorization", &authorization)], body.to_string())).await
    }

    /// `GET path`, with a key or without.
    pub(crate) async fn get(&self, path: &str, key: Option<&str>) -> Answer {
        let authorization = key.map(|key| format!("Bearer {key}"));
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        self.send(request(Method::GET, path, &headers, "")).await
    }

    /// Sends a request and hears the answer to its end.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        self.open(request).await.whole().await
    }

    /// Sends a request; the head of the answer has come.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Stream {
        let asked = format!("{} {}", request.method(), request.uri());
        let opened = timeout(NOTHING_HANGS, self.try_open(request)).await;
        opened.unwrap_or_else(|_| panic!("{asked} hangs")).unwrap_or_else(|error| panic!("{asked}: {error}"))
    }

    /// Sends a request, if the gateway takes it.
    pub(crate) async fn try_open(&self, mut request: Request<Full<Bytes>>) -> Result<Stream, String> {
        let tcp = self.connect().await.map_err(|error| format!("no connection: {error}"))?;
        let host = self.address.parse().map_err(|error| format!("{}: {error}", self.address))?;
        request.headers_mut().insert("host", host);
        let shaken = http1::handshake(TokioIo::new(tcp)).await;
        let (mut sender, connection) = shaken.map_err(|error| format!("no handshake: {error}"))?;
        let mut connections = JoinSet::new();
        connections.spawn(async move { drop(connection.await) });
        let response = sender.send_request(request).await.map_err(|error| format!("no answer: {error}"))?;
        let (parts, body) = response.into_parts();
        let heard = BytesMut::new();
        Ok(Stream { status: parts.status.as_u16(), headers: parts.headers, body, heard, _connection: connections })
    }

    async fn connect(&self) -> std::io::Result<TcpStream> {
        let Some(from) = self.from else { return TcpStream::connect(&self.address).await };
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        socket.connect(self.address.parse().map_err(std::io::Error::other)?).await
    }

    /// Sends bytes that need be no HTTP, and hears all that comes until the gateway closes the connection.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        self.exchange(bytes, false).await
    }

    /// The same by a client that says that nothing more will come.
    pub(crate) async fn raw_half(&self, bytes: &[u8]) -> String {
        self.exchange(bytes, true).await
    }

    async fn exchange(&self, bytes: &[u8], ends: bool) -> String {
        let exchange = async {
            let mut tcp = TcpStream::connect(&self.address).await.expect("the gateway listens");
            tcp.write_all(bytes).await.expect("the gateway reads");
            if ends {
                tcp.shutdown().await.expect("the gateway reads");
            }
            let mut heard = Vec::new();
            tcp.read_to_end(&mut heard).await.expect("the gateway closes the connection");
            String::from_utf8_lossy(&heard).into_owned()
        };
        timeout(NOTHING_HANGS, exchange).await.expect("the gateway closes the connection in time")
    }
}

/// A request with these headers.
pub(crate) fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Full::new(body.into())).expect("the request can be built")
}

impl Stream {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `x-request-id`.
    pub(crate) fn request_id(&self) -> String {
        self.header("x-request-id").expect("every response has an x-request-id").to_owned()
    }

    /// Hears the answer to its end, which must be one.
    pub(crate) async fn whole(mut self) -> Answer {
        while self.more().await.expect("the answer is not cut") {}
        Answer { status: self.status, headers: self.headers, body: self.heard.freeze() }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.cut() {
                return Some(event);
            }
            if !self.more().await.expect("the stream is not cut") {
                assert!(self.heard.is_empty(), "the last event has no end: {:?}", self.heard);
                return None;
            }
        }
    }

    /// So many events with content.
    pub(crate) async fn next_contents(&mut self, count: usize) -> Vec<Event> {
        let mut contents = Vec::new();
        while contents.len() < count {
            let event = self.next().await.expect("the stream goes on");
            if event.content().is_some_and(|content| !content.is_empty()) {
                contents.push(event);
            }
        }
        contents
    }

    /// All events to the end of the stream.
    pub(crate) async fn events(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// Hears a bit more; false at the end, an error where it is cut.
    pub(crate) async fn try_more(&mut self) -> Result<bool, String> {
        self.more().await.map_err(|error| error.to_string())
    }

    async fn more(&mut self) -> Result<bool, hyper::Error> {
        let frame = timeout(NOTHING_HANGS, self.body.frame()).await.expect("the answer hangs");
        let Some(frame) = frame else { return Ok(false) };
        if let Ok(data) = frame?.into_data() {
            self.heard.extend_from_slice(&data);
        }
        Ok(true)
    }

    fn cut(&mut self) -> Option<Event> {
        let (end, blank) = ["\n\n", "\r\n\r\n"]
            .into_iter()
            .filter_map(|blank| Some((self.heard.windows(blank.len()).position(|at| at == blank.as_bytes())?, blank)))
            .min()?;
        let event = self.heard.split_to(end + blank.len());
        Some(Event(String::from_utf8(event[..end].to_vec()).expect("events are text")))
    }
}

impl Event {
    /// What it carries; `None` for a comment.
    pub(crate) fn data(&self) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix("data: "))
    }

    /// Its type, where it has one.
    pub(crate) fn name(&self) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix("event: "))
    }

    /// What it carries, if that is JSON.
    pub(crate) fn json(&self) -> Value {
        self.data().and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default()
    }

    /// The text that it adds to the first choice.
    pub(crate) fn content(&self) -> Option<String> {
        self.json()["choices"][0]["delta"]["content"].as_str().map(str::to_owned)
    }
}

impl Answer {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// `x-request-id`.
    pub(crate) fn request_id(&self) -> String {
        self.header("x-request-id").expect("every response has an x-request-id").to_owned()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// A number of the `usage` with the very digits that stand there.
    pub(crate) fn digits_of_usage(&self, name: &str) -> String {
        digits_of_usage(&self.text(), name)
    }

    /// The members of `error`, which has the API's shape.
    pub(crate) fn error(&self) -> Value {
        let body = self.json();
        let error = &body["error"];
        for member in ["message", "type", "param", "code"] {
            assert!(error.get(member).is_some(), "{}: error.{member} is missing in {body}", self.status);
        }
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        assert!(error["type"].is_string() && (error["param"].is_string() || error["param"].is_null()), "{body}");
        error.clone()
    }

    /// `error.code`.
    pub(crate) fn code(&self) -> String {
        self.error()["code"].as_str().unwrap_or("none").to_owned()
    }
}

/// A member of the `usage` in a JSON text, with the very digits that stand there.
pub(crate) fn digits_of_usage(json: &str, name: &str) -> String {
    #[derive(serde::Deserialize)]
    struct Told<'a> {
        #[serde(borrow)]
        usage: std::collections::HashMap<String, &'a RawValue>,
    }
    let told: Told<'_> = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {json}"));
    told.usage.get(name).unwrap_or_else(|| panic!("usage.{name} is missing in {json}")).get().to_owned()
}
