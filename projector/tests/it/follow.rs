//! The follower keeps up, and nothing that happens to it changes a row.

use projector::follow::{Phase, Status, follow};
use schemas::tier::Tier;

use crate::kit::{Story, World, credits, until};

fn long_story(requests: usize) -> Story {
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(1_000_000));
    for _ in 0..requests {
        story.pays(account, None);
    }
    story
}

#[tokio::test(flavor = "multi_thread")]
async fn two_projectors_do_not_disturb_each_other_and_one_takes_over() {
    let world = World::new();
    let (one, other) = (Status::default(), Status::default());
    let options = world.options();
    let story = long_story(400);
    let (first, rest) = story.events.split_at(500);
    let mut standby = Box::pin(follow(&options, &other));
    let takes_over = {
        let mut active = Box::pin(follow(&options, &one));
        tokio::select! {
            () = &mut active => unreachable!(),
            () = until(|| one.snapshot().phase == Phase::Following) => {}
        }
        world.append(first).await;
        tokio::select! {
            () = &mut active => unreachable!(),
            () = &mut standby => unreachable!(),
            () = async {
                until(|| other.snapshot().phase == Phase::StandingBy).await;
                world.caught_up().await;
                until(|| other.snapshot().lag.is_some_and(|lag| lag.events() == 0)).await;
            } => {}
        }
        other.snapshot().events
    };
    assert_eq!(takes_over, 0, "the one that stands by writes nothing");
    world.append(rest).await;
    tokio::select! {
        () = &mut standby => unreachable!(),
        () = async {
            world.caught_up().await;
            until(|| other.snapshot().phase == Phase::Following).await;
        } => {}
    }
    let expected = world.sql("select trim_scale(1000000 - 400 * 3.36)");
    assert_eq!(world.sql("select trim_scale(balance) from credit_balances"), expected);
    assert_eq!(world.sql("select sum(requests), trim_scale(sum(credits_used)) from usage_daily"), "400|1344");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_survives_a_killed_postgresql() {
    let world = World::new();
    let status = Status::default();
    let options = world.options();
    let mut story = long_story(300);
    world.append(&story.events).await;
    let mut following = Box::pin(follow(&options, &status));
    tokio::select! {
        () = &mut following => unreachable!(),
        () = world.caught_up() => {}
    }
    world.postgres.kill();
    tokio::select! {
        () = &mut following => unreachable!(),
        () = until(|| status.snapshot().phase == Phase::Disconnected) => {}
    }
    world.postgres.restart().unwrap();
    let before = story.events.len();
    let account = story.events[1].header.account_id.unwrap();
    story.pays(account, None);
    world.append(&story.events[before..]).await;
    tokio::select! {
        () = &mut following => unreachable!(),
        () = world.caught_up() => {}
    }
    assert_eq!(world.sql("select sum(requests) from usage_daily"), "301");
    assert!(status.snapshot().failures >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_wakes_it_at_once() {
    let world = World::new();
    let status = Status::default();
    let options = world.options();
    let mut story = long_story(0);
    let account = story.events[1].header.account_id.unwrap();
    world.append(&story.events).await;
    let mut following = Box::pin(follow(&options, &status));
    tokio::select! {
        () = &mut following => unreachable!(),
        () = world.caught_up() => {}
    }
    // Forty appends, each waited for: with the poll alone that would add twenty seconds on average, give or take two.
    let begin = std::time::Instant::now();
    for _ in 0..40 {
        let before = story.events.len();
        story.pays(account, None);
        tokio::select! {
            () = &mut following => unreachable!(),
            () = async { world.append(&story.events[before..]).await; world.caught_up().await } => {}
        }
    }
    assert!(begin.elapsed() < std::time::Duration::from_secs(20), "{:?}", begin.elapsed());
}
