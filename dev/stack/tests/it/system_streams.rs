//! Streams in every dress that providers give them: the client gets the same text, one usage with its cost, and `[DONE]`.

use super::system_kit::{Event, HAIKU, World, chat, streamed};

const DRESSES: [&str; 7] = [
    "",
    "usage_at=finish",
    "comment=1",
    "crlf=1",
    "split=1",
    "usage_at=finish comment=1 crlf=1 split=1",
    "chunks=1 reasoning_tokens=20",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_the_same_in_every_dress() {
    let world = World::start();
    let account = world.account("team", "10");
    for dress in DRESSES {
        let wishes = format!("prompt_tokens=20 completion_tokens=30 {dress}");
        let events = events(&world, &account.key, &streamed(chat(HAIKU, 100, &wishes))).await;
        let usages: Vec<_> = events.iter().map(Event::json).filter(|event| event["usage"].is_object()).collect();
        let [usage] = &usages[..] else { panic!("{dress}: one usage in {events:?}") };
        assert_eq!(usage["usage"]["cost_credits"], "0.0272", "{dress}: {usage}");
        text_is_whole(dress, &events);

        // Who did not ask for the usage gets no event for it.
        let mut body = streamed(chat(HAIKU, 100, &wishes));
        body.as_object_mut().expect("an object").remove("stream_options");
        let events = self::events(&world, &account.key, &body).await;
        let bare = events.iter().map(Event::json).any(|event| event["choices"].as_array().is_some_and(Vec::is_empty));
        assert!(!bare, "{dress}: {events:?}");
        text_is_whole(dress, &events);
    }
    world.quiet().await;
    let paid = world.balance(&account.account_id).await["charged"].clone();
    assert_eq!(paid, "0.3808", "14 times 0.0272");
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_as_they_are_written_and_not_at_the_end() {
    let world = World::start();
    let account = world.account("team", "10");
    let mut stream = world.open(&account.key, &streamed(chat(HAIKU, 100, "chunks=6 chunk_ms=300"))).await;
    let request_id = stream.request_id();
    stream.next_contents(2).await;
    let billed = world.billed(&request_id).expect("the provider was asked");
    assert_eq!(billed["status"], "in_flight", "the second of six chunks is here, and the provider still writes");
    let rest = stream.events().await;
    assert_eq!(rest.last().and_then(Event::data), Some("[DONE]"));
    world.close().await;
}

async fn events(world: &World, key: &str, body: &serde_json::Value) -> Vec<Event> {
    let stream = world.open(key, body).await;
    assert_eq!(stream.status, 200);
    stream.events().await
}

fn text_is_whole(dress: &str, events: &[Event]) {
    assert_eq!(events.last().and_then(Event::data), Some("[DONE]"), "{dress}: {events:?}");
    let text: String = events.iter().filter_map(Event::content).collect();
    let expected = if dress.contains("reasoning") { 40 } else { 120 };
    assert_eq!(text.len(), expected, "{dress}: {text}");
    let ends = events.iter().filter(|event| event.json()["choices"][0]["finish_reason"] == "stop").count();
    assert_eq!(ends, 1, "{dress}: {events:?}");
    assert_eq!(events.iter().any(|event| event.0.starts_with(':')), dress.contains("comment"), "{dress}: {events:?}");
}
