use std::fmt::Write;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::append::View;
use crate::life::LifeState;
use crate::stream::Reading;

/// What is shown; nothing of it before this ledger is active.
#[derive(Clone, Default)]
pub struct Shown(pub std::sync::Arc<parking_lot::Mutex<Option<Active>>>);

/// An active ledger's insides.
#[derive(Clone)]
#[allow(missing_docs)]
pub struct Active {
    pub view: watch::Receiver<View>,
    pub reading: Reading,
    pub pool: PgPool,
    pub recalls: std::sync::Arc<crate::recall::Recalls>,
}

/// Serves health and metrics for ever; says on standard output where.
pub async fn serve(listen: &str, shown: Shown) -> Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    let router = Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(shown);
    axum::serve(listener, router).await?;
    Ok(())
}

async fn health(State(shown): State<Shown>) -> Response {
    let active = shown.0.lock().clone();
    let Some(active) = active else {
        let body = serde_json::json!({ "status": "standby", "active": false });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response();
    };
    let view = active.view.borrow().clone();
    let following = active.reading.following();
    let open = view.lives.values().filter(|life| life.state == LifeState::Open).count();
    let body = serde_json::json!({
        "status": if following { "ok" } else { "opening the stream" },
        "active": true,
        "epoch": view.head.epoch,
        "position": view.head.position,
        "generation": view.head.generation,
        "stream_seq": view.head.stream_seq,
        "pending": active.reading.pending(),
        "gateways": open,
    });
    let status = if following { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(body)).into_response()
}

/// Name, help text, type.
const METRICS: [(&str, &str, &str); 16] = [
    ("layers_ledger_position", "Last position appended.", "counter"),
    ("layers_ledger_epoch", "Epoch of this writer.", "gauge"),
    ("layers_ledger_stream_pending", "Messages in the stream that are not read yet.", "gauge"),
    ("layers_ledger_lives_open", "Lives of gateways that can authorize.", "gauge"),
    ("layers_ledger_holds_open", "Holds that have not ended.", "gauge"),
    ("layers_ledger_hold_oldest_seconds", "Age of the oldest open hold.", "gauge"),
    ("layers_ledger_lost_nanocredits", "Borne by the platform in all.", "counter"),
    ("layers_ledger_quarantined", "Messages in the quarantine that nobody has dealt with.", "gauge"),
    (
        "layers_ledger_append_lag_ms",
        "How long the last event that was read had been in the stream, milliseconds.",
        "gauge",
    ),
    ("layers_ledger_leases_open", "Leases with credits that are not spent.", "gauge"),
    ("layers_ledger_leased_nanocredits", "Credits that gateways hold and have not set aside for a request.", "gauge"),
    ("layers_ledger_recalls_total", "Recalls of credits for another gateway, since the start.", "counter"),
    (
        "layers_ledger_recall_wait_us_total",
        "Microseconds that lease requests waited for them in all, since the start.",
        "counter",
    ),
    ("layers_ledger_fences_total", "Lives of gateways that were fenced, ever.", "counter"),
    (
        "layers_ledger_late_usages_total",
        "Usages that came after their request had ended without a charge, ever.",
        "counter",
    ),
    ("layers_ledger_checkpoint_position", "Last position that a signed checkpoint covers.", "counter"),
];

async fn metrics(State(shown): State<Shown>) -> Response {
    let active = shown.0.lock().clone();
    let Some(active) = active else { return "# standing by\n".into_response() };
    let row = sqlx::query!(
        r#"select count(*) as "open!", coalesce(extract(epoch from now() - min(authorized_time)), 0)::bigint as "oldest!",
                  (select coalesce(sum(lost), 0)::bigint from ledger.accounts) as "lost!",
                  (select count(*) from ledger.quarantine where state = 'open') as "quarantined!",
                  (select count(*) from ledger.leases where not closed and granted > returned + charged) as "leases!",
                  (select coalesce(sum(leased), 0)::bigint from ledger.accounts) as "leased!",
                  (select count(*) from ledger.emitters where fenced) as "fences!",
                  (select count(*) from ledger.notes where note = 'late_usage') as "late!",
                  (select coalesce(max(size), 0) from ledger.checkpoints) as "signed!"
           from ledger.holds where hold is not null and charged is null and (ending is null or ending = 'deducted')"#
    )
    .fetch_one(&active.pool)
    .await;
    let row = match row {
        Ok(row) => row,
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, format!("# {error}\n")).into_response(),
    };
    let view = active.view.borrow().clone();
    let lives = view.lives.values().filter(|life| life.state == LifeState::Open).count() as i64;
    let values = [
        view.head.position as i64,
        view.head.epoch as i64,
        active.reading.pending() as i64,
        lives,
        row.open,
        row.oldest,
        row.lost,
        row.quarantined,
        active.reading.lag_ms() as i64,
        row.leases,
        row.leased,
        active.recalls.count() as i64,
        active.recalls.wait_us() as i64,
        row.fences,
        row.late,
        row.signed,
    ];
    let mut text = String::new();
    for ((name, help, kind), value) in METRICS.iter().zip(values) {
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
