//! A gateway that is asked to stop finishes what runs, settles it, gives its leases back, and owes nothing.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use stack::local::StackOptions;
use stack::process::Process;

use super::system_kit::{Event, World, streamed, worked_example};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_stream_is_finished_and_settled() {
    let world = World::start();
    let account = world.account("team", "100");
    let mut stream = world.open(&account.key, &streamed(worked_example("chunks=20 chunk_ms=100"))).await;
    let request_id = stream.request_id();
    let (client, key) = (world.client(), account.key.clone());
    let mut whole = tokio::task::JoinSet::new();
    whole.spawn(async move { client.chat(&key, &worked_example("latency_ms=1500")).await });
    stream.next_contents(2).await;
    world.until("both are with the provider", async || (world.bill().len() == 2).then_some(())).await;

    let stopping = stop(world.stack.gateway(0));
    let refuses = async || world.client().try_open(models()).await.is_err().then_some(());
    world.until("nobody new is let in", refuses).await;
    let events = stream.events().await;
    let [.., usage, done] = &events[..] else { panic!("{events:?}") };
    assert_eq!((done.data(), &usage.json()["usage"]["cost_credits"]), (Some("[DONE]"), &"3.36".into()));
    let whole = whole.join_next().await.expect("it was asked").expect("it is answered");
    assert_eq!((whole.status, whole.header("x-layers-cost-credits")), (200, Some("3.36")), "{}", whole.text());
    stopping.join().expect("the stop ends").expect("and was not cut short");
    owes_nothing(&world).await;

    for id in [&request_id, &whole.request_id()] {
        let row = world.usage_log(id).await;
        assert_eq!((&row["status"], &row["credits_used"]), (&"success".into(), &"3.36".into()), "{row}");
    }
    let books = world.ledger_account(&account.account_id).await;
    assert_eq!((&books["unleased"], &books["charged"]), (&93_280_000_000_u64.into(), &6_720_000_000_u64.into()));
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_outlasts_the_patience_of_a_stop_is_told_and_charged_for_what_came() {
    let drain = ("LAYERS_DRAIN_SECONDS".to_owned(), "1".to_owned());
    let world = World::start_with(StackOptions { env: vec![drain], ..StackOptions::default() });
    let account = world.account("team", "100");
    let mut stream = world.open(&account.key, &streamed(worked_example("chunks=1000 chunk_ms=50"))).await;
    let request_id = stream.request_id();
    stream.next_contents(2).await;
    let begin = Instant::now();
    let stopping = stop(world.stack.gateway(0));
    let events = stream.events().await;
    let error = &events.last().map(Event::json).unwrap_or_default()["error"];
    assert_eq!(error["code"], "gateway_stopping", "{events:?}");
    assert!(error["message"].as_str().is_some_and(|text| text.ends_with("What was delivered is charged.")), "{error}");
    stopping.join().expect("the stop ends").expect("and was not cut short");
    assert!(begin.elapsed() < Duration::from_secs(10), "it took {:?}", begin.elapsed());
    owes_nothing(&world).await;

    let row = world.usage_log(&request_id).await;
    assert_eq!((&row["status"], &row["usage_source"]), (&"error".into(), &"estimated".into()), "{row}");
    assert_eq!(row["error_code"], "gateway_stopped", "{row}");
    let delivered: usize = events.iter().filter_map(Event::content).map(|text| text.len()).sum();
    let heard = delivered / 4 + 2;
    assert!(row["output_tokens"].as_u64().is_some_and(|tokens| tokens.abs_diff(heard as u64) < 4), "{heard}: {row}");
    world.close().await;
}

fn models() -> hyper::Request<http_body_util::Full<bytes::Bytes>> {
    super::system_kit::request(hyper::Method::GET, "/v1/models", &[], "")
}

fn stop(gateway: &Arc<Process>) -> JoinHandle<anyhow::Result<()>> {
    let gateway = gateway.clone();
    std::thread::spawn(move || gateway.stop())
}

/// When the process has ended, everything that it said is appended and nothing is set aside for it.
async fn owes_nothing(world: &World) {
    let open = world.rows("select * from ledger.accounts where leased <> 0 or held <> 0").await;
    assert!(open.is_empty(), "{open:?}");
    let holes = world.rows("select emitter, seen, never from ledger.emitters where never <> '{}'").await;
    assert!(holes.is_empty(), "something never came: {holes:?}");
    let said = world.stack.gateway(0).log_tail();
    assert!(!said.contains("lost with this process") && !said.contains("still running"), "{said}");
    world.projected().await;
}
