//! More requests than can be authorized: those beyond a few are refused at once, and nobody waits in vain.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::system_kit::{World, blocking, worked_example};

const ACCOUNTS: usize = 50;
/// More than may wait for however long.
const MANY: usize = 3 * ACCOUNTS;

#[tokio::test(flavor = "multi_thread")]
async fn while_nats_hangs_those_who_come_late_are_refused_at_once() {
    let world = World::start();
    let accounts = blocking(|| world.stack.open_accounts("bench", &[1_000; ACCOUNTS]).expect("accounts are opened"));
    let ask = |number: usize| {
        let (client, key) = (world.client(), accounts[number % ACCOUNTS].key.clone());
        async move {
            let begin = Instant::now();
            (client.chat(&key, &worked_example("")).await, begin.elapsed())
        }
    };
    // What an account has leased in advance is known from its second request on.
    for _ in 0..3 {
        let mut warm_up = JoinSet::new();
        (0..ACCOUNTS).for_each(|number| drop(warm_up.spawn(ask(number))));
        for (answer, _) in warm_up.join_all().await {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    }
    let calm = world.metric(0, "layers_shed_total").await;
    assert_eq!(calm, 0, "nobody is refused where nobody waits long");

    blocking(|| world.stack.nats()[0].pause());
    let (mut all, mut asked) = (JoinSet::new(), 0..);
    let mut ask_next = || asked.next().map(&ask).expect("there are numbers");
    for _ in 0..MANY {
        all.spawn(ask_next());
    }
    world
        .until("somebody is refused at the door", async || {
            all.spawn(ask_next());
            (world.metric(0, "layers_shed_total").await > 0).then_some(())
        })
        .await;
    blocking(|| world.stack.nats()[0].resume());

    let mut refused = Vec::new();
    while let Some(asked) = all.join_next().await {
        let (answer, took) = asked.expect("it is asked");
        match answer.status {
            200 => {}
            503 => {
                assert!(answer.header("retry-after").is_some(), "{}", answer.text());
                if answer.text().contains("more requests than this gateway can take") {
                    refused.push(took);
                }
            }
            status => panic!("{status}: {}", answer.text()),
        }
    }
    let shed = world.metric(0, "layers_shed_total").await;
    assert!(shed > 0 && refused.len() as u64 >= shed, "{shed} at the door, {} in all", refused.len());
    let soonest = refused.iter().min().expect("somebody was refused");
    assert!(*soonest < Duration::from_millis(500), "the soonest refusal took {soonest:?}");
    world.until("requests are served again", async || (ask(0).await.0.status == 200).then_some(())).await;
    world.close().await;
}
