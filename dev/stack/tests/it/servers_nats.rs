//! NATS: killed, brought back with its data; losing its disk; getting an old one back; two side by side.

use anyhow::Result;
use async_nats::jetstream;
use stack::servers::NatsServer;

async fn stream(server: &NatsServer) -> Result<jetstream::stream::Stream> {
    let context = jetstream::new(async_nats::connect(server.url()).await?);
    let config = jetstream::stream::Config { name: "S".into(), subjects: vec!["s.>".into()], ..Default::default() };
    Ok(context.get_or_create_stream(config).await?)
}

async fn publish(server: &NatsServer, count: usize) -> Result<()> {
    stream(server).await?;
    let context = jetstream::new(async_nats::connect(server.url()).await?);
    for _ in 0..count {
        context.publish("s.x", "hello".into()).await?.await?;
    }
    Ok(())
}

async fn count(server: &NatsServer) -> Result<u64> {
    Ok(stream(server).await?.get_info().await?.state.messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_comes_back_with_its_data() -> Result<()> {
    let server = NatsServer::start()?;
    let (url, pid) = (server.url(), server.pid());
    publish(&server, 10).await?;
    server.kill();
    assert_eq!(server.pid(), None);
    server.restart()?;
    assert_eq!(server.url(), url);
    assert_ne!(server.pid(), pid);
    assert_eq!(count(&server).await?, 10);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_can_be_lost_and_an_older_one_can_come_back() -> Result<()> {
    let server = NatsServer::start()?;
    let old = tempfile::tempdir()?;
    publish(&server, 3).await?;
    server.kill();
    server.snapshot_data(&old.path().join("data"))?;
    server.restart()?;
    publish(&server, 2).await?;
    assert_eq!(count(&server).await?, 5);
    server.restore_data(&old.path().join("data"))?;
    server.restart()?;
    assert_eq!(count(&server).await?, 3);
    server.wipe_data()?;
    server.restart()?;
    assert_eq!(count(&server).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_run_side_by_side() -> Result<()> {
    let (one, other) = (NatsServer::start()?, NatsServer::start()?);
    assert_ne!(one.url(), other.url());
    publish(&one, 1).await?;
    assert_eq!(count(&other).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_server_answers_after_it_is_resumed() -> Result<()> {
    let server = NatsServer::start()?;
    let client = async_nats::connect(server.url()).await?;
    server.pause();
    let (flushed, ()) = tokio::join!(client.flush(), async { server.resume() });
    flushed?;
    publish(&server, 1).await
}
