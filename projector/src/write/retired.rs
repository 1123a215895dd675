use chrono::{DateTime, Utc};
use schemas::event::Event;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::fold::{Memory, Request};

/// Requests whose rows were dropped with their month, as they were at a position: folded again from their own events, which the
/// ledger finds by the request's id. They are few: something is told of a request long after it was made.
pub(crate) async fn load(
    connection: &mut PgConnection,
    version: i32,
    position: i64,
    memory: &Memory,
    wanted: &[(Uuid, DateTime<Utc>)],
) -> Result<Vec<Request>, sqlx::Error> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = wanted.iter().map(|row| row.0).collect();
    let rows = sqlx::query!(
        "select e.position, e.event from ledger.events e
         where e.request_id = any($1) and e.position <= $2
            and not exists (select from projector.projection_quarantine q where q.version = $3 and q.position = e.position)
         order by e.request_id, e.position",
        &ids,
        position,
        version,
    )
    .fetch_all(connection)
    .await?;
    let mut requests: Vec<Request> = Vec::new();
    for row in rows {
        // What could not be applied then was quarantined, and is not among them.
        let Ok(event) = Event::decode(&row.event) else { continue };
        let Ok(fresh) = Request::new(&event.header) else { continue };
        let known = requests.last().filter(|last| last.request_id == fresh.request_id);
        let Ok((next, _)) = known.unwrap_or(&fresh).after(row.position, &event.header, &event.payload, memory) else {
            continue;
        };
        if known.is_some() {
            requests.pop();
        }
        requests.push(next);
    }
    Ok(requests)
}
