//! Names of people, and how they are forgotten.

use projector::profile;
use schemas::tier::Tier;
use uuid::Uuid;

use crate::kit::{Story, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_set_changed_in_part_and_erased() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro).0;
    world.append(&story.events).await;
    world.project(2_000).await;
    let mut connection = world.connect().await;
    profile::set(&mut connection, account, Some("ada@example.com"), Some("Ada")).await.unwrap();
    let changed = profile::set(&mut connection, account, Some("ada@example.org"), None).await.unwrap();
    assert_eq!((changed.email.as_deref(), changed.name.as_deref()), (Some("ada@example.org"), Some("Ada")));
    assert_eq!(profile::show(&mut connection, account).await.unwrap(), Some(changed));
    assert!(profile::erase(&mut connection, account).await.unwrap());
    assert!(!profile::erase(&mut connection, account).await.unwrap());
    assert_eq!(profile::show(&mut connection, account).await.unwrap(), None);
    assert!(profile::set(&mut connection, Uuid::now_v7(), None, Some("Nobody")).await.is_err());
}
