//! Answers chunk by chunk.

use anyhow::Result;
use serde_json::{Value, json};

use crate::kit::{Provider, Reply};

async fn stream(wish: &str, include_usage: bool) -> Result<Reply> {
    let provider = Provider::start().await?;
    let options = json!({ "stream": true, "stream_options": { "include_usage": include_usage } });
    provider.chat("r", &format!("simulate: {wish}"), options).await
}

#[tokio::test]
async fn usage_comes_in_a_chunk_of_its_own_when_asked_for() -> Result<()> {
    let reply = stream("chunks=3 completion_tokens=300", true).await?;
    let chunks = reply.chunks();
    assert_eq!(reply.events().last(), Some(&"[DONE]"));
    assert_eq!(chunks.len(), 1 + 3 + 1 + 1, "role, content, finish, usage");
    assert_eq!(reply.content().len(), 1200);
    let (usage, others) = chunks.split_last().expect("chunks");
    assert_eq!((&usage["choices"], &usage["usage"]["completion_tokens"]), (&json!([]), &json!(300)));
    assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
    assert_eq!(others[4]["choices"][0]["finish_reason"], "stop");
    assert!(reply.head.contains("content-type: text/event-stream"));
    Ok(())
}

#[tokio::test]
async fn without_being_asked_there_is_no_usage_but_it_may_ride_on_the_finish() -> Result<()> {
    let reply = stream("chunks=2", false).await?;
    assert!(reply.chunks().iter().all(|chunk| chunk.get("usage").is_none()));
    let reply = stream("chunks=2 usage_at=finish", true).await?;
    let chunks = reply.chunks();
    let last = chunks.last().expect("a chunk");
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["usage"]["completion_tokens"], 16);
    let reply = stream("no_usage=1", true).await?;
    assert!(!reply.body.contains("completion_tokens"));
    Ok(())
}

#[tokio::test]
async fn the_form_of_the_events_may_be_unusual() -> Result<()> {
    let plain = stream("chunks=4", true).await?;
    for wish in ["comment=1", "crlf=1", "split=1", "comment=1 crlf=1 split=1"] {
        let reply = stream(&format!("chunks=4 {wish}"), true).await?;
        assert!(reply.complete, "{wish}");
        assert_eq!(reply.content(), plain.content(), "{wish}");
        assert_eq!(reply.body.contains(": keep-alive"), wish.contains("comment"), "{wish}");
        assert_eq!(reply.body.contains("\r\n\r\n"), wish.contains("crlf"), "{wish}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_can_break() -> Result<()> {
    let cut = stream("chunks=5 cut_after=2", true).await?;
    assert!(!cut.complete);
    assert_eq!(cut.chunks().len(), 1 + 2);
    let failed = stream("chunks=5 error_after=2", true).await?;
    assert!(failed.complete && failed.chunks().last().is_some_and(|chunk| chunk["error"].is_object()));
    assert_ne!(failed.events().last(), Some(&"[DONE]"));
    let malformed = stream("chunks=2 malformed=1", true).await?;
    assert_eq!(malformed.events().len(), malformed.chunks().len() + 2, "one event is no JSON, and [DONE] is none");
    Ok(())
}

#[tokio::test]
async fn a_tool_call_comes_in_fragments() -> Result<()> {
    let provider = Provider::start().await?;
    for chunks in [1, 2, 3, 8] {
        let more = json!({ "stream": true, "tools": [{ "type": "function", "function": { "name": "weather" } }] });
        let reply = provider.chat("r", &format!("simulate: tool_call=1 chunks={chunks}"), more).await?;
        let fragments = reply.chunks();
        let calls = fragments.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]["function"]);
        let names: String = calls.clone().filter_map(|call| call["name"].as_str()).collect();
        let arguments: String = calls.filter_map(|call| call["arguments"].as_str()).collect();
        assert_eq!((names.as_str(), arguments.as_str()), ("weather", r#"{"text":"simulated"}"#));
    }
    Ok(())
}

#[tokio::test]
async fn more_choices_share_the_chunks() -> Result<()> {
    let provider = Provider::start().await?;
    let more = json!({ "stream": true, "n": 3 });
    let reply = provider.chat("r", "simulate: chunks=4 completion_tokens=30", more).await?;
    let mut texts = [const { String::new() }; 3];
    for chunk in reply.chunks() {
        let choice = &chunk["choices"][0];
        let index = usize::try_from(choice["index"].as_u64().unwrap_or_default())?;
        texts[index].push_str(choice["delta"]["content"].as_str().unwrap_or_default());
    }
    assert!(texts.iter().all(|text| text.len() == 40), "{texts:?}");
    Ok(())
}
