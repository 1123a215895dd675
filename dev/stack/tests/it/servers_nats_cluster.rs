//! A cluster of three stores streams with three replicas and survives the loss of one.

use std::time::Duration;

use anyhow::{Context, Result};
use async_nats::jetstream;
use stack::servers::NatsCluster;

#[tokio::test(flavor = "multi_thread")]
async fn three_servers_store_three_replicas_and_survive_the_loss_of_one() -> Result<()> {
    let cluster = NatsCluster::start()?;
    let servers: Vec<async_nats::ServerAddr> =
        cluster.url().split(',').map(str::parse).collect::<Result<_, std::io::Error>>()?;
    let context = jetstream::new(async_nats::connect(servers).await?);
    let config = jetstream::stream::Config {
        name: "S".into(),
        subjects: vec!["s.>".into()],
        num_replicas: 3,
        ..Default::default()
    };
    let mut stream = context.create_stream(config).await?;
    assert_eq!(stream.info().await?.cluster.as_ref().map(|cluster| cluster.replicas.len()), Some(2));
    context.publish("s.x", "one".into()).await?.await?;
    cluster.servers()[0].kill();
    // The other two elect a leader, and the client finds one of them: a few seconds.
    let publish = async {
        while async { context.publish("s.x", "two".into()).await?.await }.await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), publish).await.context("two of three are a majority")?;
    cluster.servers()[0].restart()?;
    cluster.wait_ready()
}
