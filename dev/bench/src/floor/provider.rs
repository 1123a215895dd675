//! A provider that answers at once, always the same, and counts its answers.
//!
//! | a request whose body has | is answered with |
//! |---|---|
//! | `"stream":true` | 32 chunks, the finish, the usage and `[DONE]`, as fast as they are read |
//! | and `wait` in it | one chunk, and nothing more until `/go` is asked; then the rest |
//! | neither | 10 tokens in one piece |

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memmem::Finder;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::sync::WaitForCancellationFutureOwned;

/// Chunks with text in a stream.
pub(crate) const CHUNKS: usize = 32;

pub(crate) const WHOLE: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1760000000,"model":"claude-haiku-4-5","choices":[{"index":0,"message":{"role":"assistant","content":"All the same words, every time."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":10,"total_tokens":30}}"#;
const USAGE: &str = r#""usage":{"prompt_tokens":20,"completion_tokens":32,"total_tokens":52}"#;

struct Provider {
    answers: AtomicU64,
    go: watch::Sender<CancellationToken>,
    stream: Vec<Bytes>,
}

/// Answers until it is killed.
pub(crate) async fn run() -> Result<()> {
    let provider = Arc::new(Provider {
        answers: AtomicU64::new(0),
        go: watch::Sender::new(CancellationToken::new()),
        stream: events(),
    });
    let listener = super::listen().await?;
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let provider = provider.clone();
        let service = service_fn(move |request| {
            let provider = provider.clone();
            async move { Ok::<_, Infallible>(provider.answer(request).await) }
        });
        // A client that breaks off is none of its business.
        #[allow(clippy::disallowed_methods)]
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(tcp), service));
    }
}

/// The chunks of a stream, an event each.
pub(crate) fn events() -> Vec<Bytes> {
    let chunk = |choices: &str, usage: &str| {
        Bytes::from(format!(
            "data: {{\"id\":\"chatcmpl-bench\",\"object\":\"chat.completion.chunk\",\"created\":1760000000,\"model\":\"claude-haiku-4-5\",\"choices\":[{choices}],{usage}}}\n\n"
        ))
    };
    let none = r#""usage":null"#;
    let text = r#"{"index":0,"delta":{"content":" words"},"logprobs":null,"finish_reason":null}"#;
    let finish = r#"{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}"#;
    let mut events = vec![chunk(text, none); CHUNKS];
    events.extend([chunk(finish, none), chunk("", USAGE), Bytes::from_static(b"data: [DONE]\n\n")]);
    events
}

impl Provider {
    async fn answer(&self, request: Request<Incoming>) -> Response<Events> {
        match request.uri().path() {
            "/answers" => return of(vec![self.answers.load(Ordering::Relaxed).to_string().into()], "text/plain"),
            "/go" => {
                self.go.send_replace(CancellationToken::new()).cancel();
                return of(Vec::new(), "text/plain");
            }
            _ => {}
        }
        let Ok(body) = request.into_body().collect().await else { return of(Vec::new(), "text/plain") };
        let body = body.to_bytes();
        self.answers.fetch_add(1, Ordering::Relaxed);
        if Finder::new("\"stream\":true").find(&body).is_none() {
            return of(vec![Bytes::from_static(WHOLE.as_bytes())], "application/json");
        }
        let mut response = of(self.stream.clone(), "text/event-stream");
        if Finder::new("wait").find(&body).is_some() {
            let go = self.go.borrow().clone();
            response.body_mut().after_first = Some(Box::pin(go.cancelled_owned()));
        }
        response
    }
}

fn of(events: Vec<Bytes>, kind: &'static str) -> Response<Events> {
    let mut response = Response::new(Events { left: events.into(), begun: false, after_first: None });
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Each is a chunk of its own.
struct Events {
    left: VecDeque<Bytes>,
    begun: bool,
    after_first: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let (true, Some(go)) = (this.begun, &mut this.after_first) {
            std::task::ready!(go.as_mut().poll(context));
            this.after_first = None;
        }
        this.begun = true;
        Poll::Ready(this.left.pop_front().map(|event| Ok(Frame::data(event))))
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match (self.begun, self.left.len()) {
            // One piece has a length; a stream has none.
            (false, 0 | 1) => hyper::body::SizeHint::with_exact(self.left.iter().map(Bytes::len).sum::<usize>() as u64),
            _ => hyper::body::SizeHint::default(),
        }
    }
}
