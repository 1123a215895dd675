//! A PostgreSQL with the migrations, and the ledger's side of the log.

use std::path::Path;
use std::time::{Duration, Instant};

use projector::apply::{OnPoison, Version};
use projector::page::Page;
use projector::{database, log};
use schemas::event::{Event, Payload, Source, encode_payload};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use stack::servers::Postgres;

pub(crate) struct World {
    pub(crate) postgres: Postgres,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { postgres: Postgres::start().unwrap() };
        let migrations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let mut files: Vec<_> = std::fs::read_dir(migrations).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            world.postgres.sql_file(&file).unwrap();
        }
        for role in ["layers_projector", "layers_analyst", "layers_gateway"] {
            world.postgres.sql(&format!("alter role {role} password 'secret'")).unwrap();
        }
        world
    }

    pub(crate) fn url(&self) -> String {
        self.postgres.url_as("layers_projector", "secret")
    }

    /// How the projector connects.
    pub(crate) fn options(&self) -> PgConnectOptions {
        database::options(&self.url()).unwrap()
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        database::connect(&self.options()).await.unwrap()
    }

    pub(crate) async fn connect_as(&self, role: &str) -> PgConnection {
        PgConnection::connect(&self.postgres.url_as(role, "secret")).await.unwrap()
    }

    /// As the owner, under a name.
    pub(crate) async fn connect_named(&self, name: &str) -> PgConnection {
        let options: PgConnectOptions = self.postgres.url().parse().unwrap();
        PgConnection::connect_with(&options.application_name(name)).await.unwrap()
    }

    /// Appends events as the ledger does.
    pub(crate) async fn append(&self, events: &[Event]) {
        let rows: Vec<_> = events.iter().map(|event| (event.clone(), bytes_of(event))).collect();
        self.append_bytes(&rows).await;
    }

    /// The same, with bytes that may be no event.
    pub(crate) async fn append_bytes(&self, events: &[(Event, Vec<u8>)]) {
        let mut connection = PgConnection::connect(&self.postgres.url()).await.unwrap();
        for events in events.chunks(500) {
            let mut transaction = connection.begin().await.unwrap();
            let head: i64 = sqlx::query_scalar("select position from ledger.head for update")
                .fetch_one(&mut *transaction)
                .await
                .unwrap();
            let mut position = head;
            for (event, bytes) in events {
                position += 1;
                let header = &event.header;
                sqlx::query(
                    "insert into ledger.events (position, event_id, event_type, account_id, request_id, emitter, seq, recorded_at, event)
                     values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                )
                .bind(position)
                .bind(header.id.0)
                .bind(event.payload.type_name())
                .bind(header.account_id.map(|id| id.0))
                .bind(header.request_id.map(|id| id.0))
                .bind(header.emitter.0)
                // The position stands in for the emitter's own counter, so that stories can be told one after the other.
                .bind(position)
                .bind(header.time)
                .bind(bytes)
                .execute(&mut *transaction)
                .await
                .unwrap();
            }
            sqlx::query("update ledger.head set position = $1")
                .bind(position)
                .execute(&mut *transaction)
                .await
                .unwrap();
            sqlx::query("select pg_notify('ledger_appended', $1)")
                .bind(position.to_string())
                .execute(&mut *transaction)
                .await
                .unwrap();
            transaction.commit().await.unwrap();
        }
    }

    /// Applies all that is there, in batches of a size.
    pub(crate) async fn project(&self, batch: i64) {
        let mut connection = self.connect().await;
        let mut version = Version::live(&mut connection).await.unwrap().unwrap();
        loop {
            let events = log::read(&mut connection, version.position, i64::MAX, batch).await.unwrap();
            if events.is_empty() {
                return;
            }
            version.apply(&mut connection, &Page::of(events), OnPoison::Quarantine).await.unwrap();
        }
    }

    /// What psql prints.
    pub(crate) fn sql(&self, text: &str) -> String {
        self.postgres.sql(text).unwrap().trim().to_owned()
    }

    /// Counts and checksums of the live version.
    pub(crate) fn checksums(&self) -> String {
        self.sql("select c.* from projector.projection p, projector.checksums(p.version) c where p.live order by 1")
    }

    pub(crate) fn position(&self) -> i64 {
        self.sql("select position from public.projection").parse().unwrap()
    }

    /// Waits until all that is in the log has its rows.
    pub(crate) async fn caught_up(&self) {
        let head: i64 = self.sql("select position from ledger.head").parse().unwrap();
        until(|| self.position() >= head).await;
    }
}

fn bytes_of(event: &Event) -> Vec<u8> {
    let source = match event.payload {
        Payload::RequestAuthorized(_) | Payload::UsageRecorded(_) | Payload::CreditsDeducted(_) => Source::Gateway,
        _ => Source::Ledger,
    };
    encode_payload(source, &event.header, &event.payload).unwrap()
}

/// Waits for something to become true.
pub(crate) async fn until(mut is_true: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_true() {
        assert!(begin.elapsed() < Duration::from_secs(60), "it did not become true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
