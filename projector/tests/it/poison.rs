//! Events that cannot be projected: passed over when live, and the end of a rebuild.

use projector::apply::ApplyError;
use projector::follow::{Status, follow};
use projector::rebuild::{RebuildError, Wanted, rebuild};
use schemas::event::{Event, Header};
use schemas::ids::EventId;
use schemas::tier::Tier;
use uuid::Uuid;

use crate::kit::{Story, World, credits};

/// Follows until all that is in the log was read.
async fn follow_to_the_end(world: &World) {
    let (options, status) = (world.options(), Status::default());
    tokio::select! {
        () = follow(&options, &status) => {}
        () = world.caught_up() => {}
    }
}

fn like(event: &Event) -> Event {
    Event { header: Header { id: EventId(Uuid::now_v7()), ..event.header }, payload: event.payload.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undecodable_event_is_quarantined_live_and_stops_a_rebuild() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(10));
    world.append(&story.events).await;
    world.append_bytes(&[(like(&story.events[2]), b"{\"type\":\"FromTheFuture\"}".to_vec())]).await;
    let before = story.events.len();
    story.pays(account, None);
    world.append(&story.events[before..]).await;
    follow_to_the_end(&world).await;
    assert_eq!(world.sql("select version, position from projector.projection_quarantine"), "1|4");
    assert_eq!(world.sql("select trim_scale(balance) from credit_balances"), "6.64");

    let checksums = world.checksums();
    let stopped = rebuild(&world.options(), &Wanted::default(), |_| {}).await.unwrap_err();
    assert!(matches!(stopped, RebuildError::Apply(ApplyError::Poison { position: 4, .. })), "{stopped}");
    assert_eq!(world.sql("select version from public.projection"), "1");
    assert_eq!(world.checksums(), checksums);
    assert_eq!(world.sql("select count(*) from projector.leftover_versions()"), "0", "what was built is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_rows_are_refused_is_found_and_passed_over_alone() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(10));
    story.pays(account, None);
    // The ledger never appends these: an account that is not there, and one that is there already.
    let again = like(&story.events[1]);
    story.buys(schemas::ids::AccountId(Uuid::now_v7()), credits(1));
    story.events.push(again);
    story.pays(account, None);
    world.append(&story.events).await;
    follow_to_the_end(&world).await;
    assert_eq!(
        world.sql("select string_agg(position::text, ' ' order by position) from projector.projection_quarantine"),
        "7 8"
    );
    assert_eq!(world.sql("select trim_scale(balance), tier from credit_balances"), "3.28|pro");
    assert_eq!(world.sql("select count(*) from usage_logs"), "2");
}
