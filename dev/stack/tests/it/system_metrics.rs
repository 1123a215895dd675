//! Each process tells its figures at `/metrics`, and they are right.

use std::collections::HashMap;

use super::system_kit::{Client, World, worked_example};

const GATEWAY: [&str; 23] = [
    "layers_leases_open",
    "layers_leased_free_nanocredits",
    "layers_holds_open",
    "layers_authorized_total",
    "layers_settled_total",
    "layers_released_total",
    "layers_holds_dropped_total",
    "layers_refused_insufficient_total",
    "layers_refused_held_total",
    "layers_refused_unavailable_total",
    "layers_credit_waits_total",
    "layers_credit_wait_us_total",
    "layers_lease_requests_total",
    "layers_lease_returns_total",
    "layers_gate_refusals_total",
    "layers_undecided_total",
    "layers_resends_total",
    "layers_lives",
    "layers_lives_begun_total",
    "layers_backlog_events",
    "layers_backlog_bytes",
    "layers_stream_used_percent",
    "layers_feeds_open",
];
const LEDGER: [&str; 15] = [
    "layers_ledger_position",
    "layers_ledger_epoch",
    "layers_ledger_stream_pending",
    "layers_ledger_append_lag_ms",
    "layers_ledger_lives_open",
    "layers_ledger_leases_open",
    "layers_ledger_leased_nanocredits",
    "layers_ledger_holds_open",
    "layers_ledger_hold_oldest_seconds",
    "layers_ledger_recalls_total",
    "layers_ledger_recall_wait_us_total",
    "layers_ledger_fences_total",
    "layers_ledger_late_usages_total",
    "layers_ledger_lost_nanocredits",
    "layers_ledger_quarantined",
];
const PROJECTOR: [&str; 9] = [
    "projector_active",
    "projector_position",
    "projector_head",
    "projector_lag_events",
    "projector_lag_seconds",
    "projector_quarantined_events",
    "projector_events_total",
    "projector_batches_total",
    "projector_failures_total",
];

#[tokio::test(flavor = "multi_thread")]
async fn each_process_tells_its_figures() {
    let world = World::start();
    let account = world.account("team", "10");
    let running = (world.client(), account.key.clone());
    let mut whole = tokio::task::JoinSet::new();
    whole.spawn(async move { running.0.chat(&running.1, &worked_example("latency_ms=2500")).await });
    let ledger = world.stack.ledger_url();
    world
        .until("the ledger knows of the hold, and of its age", async || {
            let told = told(&ledger, &LEDGER).await;
            let leased = told["layers_ledger_leases_open"] + told["layers_ledger_holds_open"];
            (leased > 0 && told["layers_ledger_hold_oldest_seconds"] >= 1).then_some(())
        })
        .await;
    assert_eq!(world.metric(0, "layers_holds_open").await, 1);
    assert_eq!(whole.join_next().await.expect("it was asked").expect("it ends").status, 200);
    // Too much for the account, by far.
    let mut more = worked_example("");
    more["max_tokens"] = 60_000.into();
    assert_eq!(world.ask(&account.key, &more).await.code(), "insufficient_credits");
    world.quiet().await;

    let gateway = told(&world.stack.gateway_url(0), &GATEWAY).await;
    let counted = |name: &str| gateway[name];
    assert_eq!((counted("layers_authorized_total"), counted("layers_settled_total")), (1, 1));
    assert_eq!((counted("layers_refused_insufficient_total"), counted("layers_holds_dropped_total")), (1, 0));
    assert!(counted("layers_credit_waits_total") >= 2 && counted("layers_credit_wait_us_total") > 0, "{gateway:?}");
    let ledger = told(&ledger, &LEDGER).await;
    let projector = told(&world.stack.projector_url(), &PROJECTOR).await;
    assert_eq!(projector["projector_position"], ledger["layers_ledger_position"]);
    assert_eq!((projector["projector_lag_events"], projector["projector_active"]), (0, 1));
    assert_eq!((ledger["layers_ledger_holds_open"], ledger["layers_ledger_lost_nanocredits"]), (0, 0));
    world.close().await;
}

/// Every metric of the process without labels; these are among them, each with its type and a text.
async fn told(url: &str, names: &[&str]) -> HashMap<String, i64> {
    let text = Client::new(url).get("/metrics", None).await.text();
    for name in names {
        for kind in ["HELP", "TYPE"] {
            let head = format!("# {kind} {name} ");
            assert!(text.lines().any(|line| line.starts_with(&head)), "{head} is not among\n{text}");
        }
    }
    let figures = text.lines().filter_map(|line| {
        let (name, figure) = line.split_once(' ')?;
        Some((name.to_owned(), figure.parse().ok()?))
    });
    let figures: HashMap<String, i64> = figures.collect();
    assert!(names.iter().all(|name| figures.contains_key(*name)), "{figures:?}");
    figures
}
