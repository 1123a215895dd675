use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use ledger::asker::Asker;
use ledger::config::NatsConfig;
use ledger::range::Range;
use ledger::reconcile::{Listing, Plan, Provider, Record, Tolerance, Totals, TruingUp, days, reconcile};
use schemas::event::{UsageRecorded, UsageSource};
use schemas::ids::{AccountId, RequestId};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::kit::{Kit, MODEL, Puppet, used};

/// A whole request of which we say so, at so many tokens.
async fn said(
    gateway: &mut Puppet,
    account: AccountId,
    hold: i64,
    tokens: u64,
    source: UsageSource,
    id: Option<&str>,
) -> RequestId {
    let request = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, request, hold);
    gateway.publish_through(0, &authorization).await.unwrap();
    let upstream = if id.is_some() { "ai-gateway" } else { "simulator" };
    let data = UsageRecorded {
        source,
        upstream: upstream.to_owned(),
        provider_request_id: id.map(str::to_owned),
        ..used(tokens)
    };
    let usage = gateway.event(account, Some(request), &data);
    gateway.publish(&usage).await;
    let deduction = gateway.deduction(account, request, hold);
    gateway.publish(&deduction).await;
    request
}

/// The provider's line at so many tokens; $15 a million.
fn line(tokens: u64, status: &str) -> Value {
    let cost = format!("0.{:06}", tokens * 15);
    json!({ "model": MODEL, "status": status, "prompt_tokens": 0, "completion_tokens": tokens, "cost_usd": cost })
}

fn provider(lines: Value) -> Provider {
    Record::read(json!({ "requests": lines }).to_string().as_bytes()).unwrap().into()
}

async fn plan(kit: &Kit, provider: &Provider) -> Plan {
    let range = Range::resolve(&mut kit.db().await, None, None).await.unwrap();
    let upstream = provider.upstream().map(str::to_owned);
    Plan { range, account: None, upstream, tolerance: Tolerance::default(), concurrency: 2 }
}

async fn truing_up(kit: &Kit) -> TruingUp {
    let config = NatsConfig { nats_url: kit.nats.url(), cell: kit.cell.clone() };
    let asker = Asker::connect(&config).await.unwrap();
    TruingUp { asker, by: "test".to_owned(), reason: "the provider's bill".to_owned() }
}

async fn compared(
    kit: &Kit,
    provider: &Provider,
    plan: &Plan,
    truing_up: Option<&TruingUp>,
) -> Result<(Vec<Value>, Totals), String> {
    let pool = PgPool::connect(&kit.postgres.url()).await.unwrap();
    let mut out = Vec::new();
    let totals = reconcile(&pool, provider, plan, truing_up, &mut Listing::new(true, &mut out)).await;
    let totals = totals.map_err(|error| format!("{error:#}"))?;
    let mut listed: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(listed["ok"], !totals.differs());
    let Value::Array(items) = listed["items"].take() else { panic!("{listed}") };
    Ok((items, totals))
}

#[tokio::test]
async fn each_side_is_listed_and_only_estimates_are_trued_up() {
    let kit = Kit::start().await;
    let account = kit.open_account(1_000).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 1_000).await.unwrap();
    use UsageSource::{Estimated, Provider as Told};
    // 10,000 tokens are 24 credits.
    let before = said(&mut gateway, account, 50, 10_000, Told, None).await;
    kit.until_number("select count(*) from ledger.holds where charged is not null", 1).await;
    let from = kit.number("select position from ledger.head").await as u64 + 1;
    let same = said(&mut gateway, account, 50, 10_000, Told, None).await;
    let other = said(&mut gateway, account, 50, 10_000, Told, None).await;
    let less = said(&mut gateway, account, 50, 10_000, Estimated, None).await;
    let more = said(&mut gateway, account, 30, 10_000, Estimated, None).await;
    let unknown = said(&mut gateway, account, 50, 10_000, Estimated, None).await;
    let runs = said(&mut gateway, account, 50, 10_000, Estimated, None).await;
    kit.until_number("select count(*) from ledger.holds where charged is not null", 7).await;
    let charged = kit.money(account).await[3];
    let strange = Uuid::now_v7().to_string();
    let bill = || {
        provider(json!({
            before.to_string(): line(10_000, "completed"),
            same.to_string(): line(10_000, "completed"),
            other.to_string(): line(10_001, "completed"),
            less.to_string(): line(5_000, "cancelled"),
            more.to_string(): line(20_000, "cancelled"),
            runs.to_string(): line(1, "in_flight"),
            strange.clone(): line(7, "completed"),
            Uuid::now_v7().to_string(): line(0, "error"),
        }))
    };
    let plan = Plan { range: Range { from, until: u64::MAX }, ..plan(&kit, &bill()).await };
    let (items, totals) = compared(&kit, &bill(), &plan, None).await.unwrap();
    assert_eq!((totals.same, totals.differing, totals.to_true_up, totals.ours_only), (1, 1, 2, 1));
    assert_eq!((totals.theirs_only, totals.elsewhere, totals.unbilled, totals.open), (1, 1, 1, 1));
    let kind = |id: &str| {
        let item = items.iter().find(|item| item["request_id"] == *id || item["provider_request_id"] == *id);
        item.unwrap_or_else(|| panic!("{id} is not listed: {items:?}"))["kind"].as_str().unwrap().to_owned()
    };
    assert_eq!(kind(&other.to_string()), "differs");
    assert_eq!((kind(&less.to_string()), kind(&more.to_string())), ("estimated".into(), "estimated".into()));
    assert_eq!((kind(&unknown.to_string()), kind(&strange)), ("ours_only".into(), "theirs_only".into()));
    assert_eq!(kind(&runs.to_string()), "open");
    assert_eq!(kit.money(account).await[3], charged, "looking moves nothing");

    // 24 become 12; and 48, of which 30 were held: 18 are the platform's. The lease has to come back for what is taken.
    kit.add(account, 10, "for what is taken").await.unwrap();
    let truing_up = truing_up(&kit).await;
    let (_, totals) = compared(&kit, &bill(), &plan, Some(&truing_up)).await.unwrap();
    assert_eq!((totals.trued_up, totals.to_true_up), (2, 0));
    assert_eq!([totals.live.given, totals.live.taken, totals.live.loss].map(|it| it.to_string()), ["12", "6", "18"]);
    let (_, again) = compared(&kit, &bill(), &plan, Some(&truing_up)).await.unwrap();
    assert_eq!((again.trued_up, again.trued_up_before, again.live.given.get()), (0, 2, 0));
    let [.., lost] = kit.money(account).await;
    assert_eq!(lost, 18);
    let named = kit
        .number(
            "select count(*) from ledger.events where event_type = 'CreditsAdjusted'
             and convert_from(event, 'UTF8')::json->'data'->>'reference' = 'reconcile:' || request_id",
        )
        .await;
    assert_eq!(named, 2);
    kit.finish().await;
}

/// Vercel's side: one call is known, one comes only the second time, and one not at all.
#[derive(Clone, Default)]
struct Vercel {
    asked: Arc<AtomicUsize>,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Vercel {
    async fn start(self) -> (String, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let app =
            Router::new().route("/v1/generation", get(generation)).route("/v1/report", get(report)).with_state(self);
        let mut serving = JoinSet::new();
        serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
        (url, serving)
    }
}

#[derive(serde::Deserialize)]
struct Id {
    id: String,
}

async fn generation(
    State(vercel): State<Vercel>,
    Query(Id { id }): Query<Id>,
    headers: HeaderMap,
) -> (StatusCode, Json<Value>) {
    if headers.get("authorization").is_none_or(|key| key != "Bearer vck_secret") {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "no key" })));
    }
    vercel.most.fetch_max(vercel.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    tokio::task::yield_now().await;
    vercel.now.fetch_sub(1, Ordering::SeqCst);
    match id.as_str() {
        "gen_busy" if vercel.asked.fetch_add(1, Ordering::SeqCst) == 0 => {
            (StatusCode::TOO_MANY_REQUESTS, Json(json!({ "error": "slow down" })))
        }
        "gen_none" => (StatusCode::NOT_FOUND, Json(json!({ "error": "Usage event not found", "id": id }))),
        _ => {
            let generation = json!({
                "id": id, "total_cost": 0.15, "model": MODEL, "native_tokens_prompt": 0, "native_tokens_completion": 10_000,
                "native_tokens_reasoning": 0, "native_tokens_cached": 0, "native_tokens_cache_creation": 0,
            });
            (StatusCode::OK, Json(json!({ "data": generation })))
        }
    }
}

#[derive(serde::Deserialize)]
struct Asked {
    start_date: String,
    group_by: String,
    date_part: String,
}

async fn report(Query(asked): Query<Asked>) -> Json<Value> {
    assert_eq!((asked.group_by.as_str(), asked.date_part.as_str()), ("model", "day"));
    Json(json!({ "results": [{
        "day": asked.start_date, "model": MODEL, "total_cost": 0.45, "input_tokens": 0, "output_tokens": 30_001,
        "request_count": 3,
    }] }))
}

#[tokio::test]
async fn a_provider_is_asked_call_by_call_or_for_its_report() {
    let kit = Kit::start().await;
    let account = kit.open_account(1_000).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 1_000).await.unwrap();
    for id in ["gen_1", "gen_busy", "gen_none"] {
        said(&mut gateway, account, 50, 10_000, UsageSource::Provider, Some(id)).await;
    }
    kit.until_number("select count(*) from ledger.holds where charged is not null", 3).await;
    let vercel = Vercel::default();
    let (url, _serving) = vercel.clone().start().await;

    let lookups = Provider::open(&url, Some("vck_secret"), None).await.unwrap();
    let plan = plan(&kit, &lookups).await;
    let (items, totals) = compared(&kit, &lookups, &plan, None).await.unwrap();
    assert_eq!((totals.same, totals.ours_only), (2, 1), "{items:?}");
    assert_eq!((&items[0]["kind"], &items[0]["provider_request_id"]), (&"ours_only".into(), &"gen_none".into()));
    assert_eq!(vercel.asked.load(Ordering::SeqCst), 2, "asked again after 429");
    assert!(vercel.most.load(Ordering::SeqCst) <= plan.concurrency);
    let stranger = Provider::open(&url, None, None).await.unwrap();
    let refused = compared(&kit, &stranger, &plan, None).await.unwrap_err();
    assert!(refused.contains("401"), "{refused}");

    let days = days(&mut kit.db().await, plan.range).await.unwrap();
    let report = Provider::open(&format!("{url}/report"), None, days).await.unwrap();
    let (items, totals) = compared(&kit, &report, &plan, None).await.unwrap();
    assert_eq!((totals.differing, totals.same), (1, 0), "{items:?}");
    let differences = items[0]["differences"].as_array().unwrap();
    assert_eq!((differences.len(), &differences[0]["figure"]), (1, &"output_tokens".into()), "{items:?}");
    let tolerance = Tolerance { tokens: 1, ..Tolerance::default() };
    let (_, totals) = compared(&kit, &report, &Plan { tolerance, ..plan }, None).await.unwrap();
    assert!(!totals.differs());
    kit.finish().await;
}
