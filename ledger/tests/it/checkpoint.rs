use std::time::Duration;

use futures_util::future::join_all;
use ledger::checkpoint::CheckpointConfig;
use schemas::merkle::{Checkpoint, Hash, Tiles, consistency_proof, leaf_hash, root, verify_consistency};
use schemas::message::{AskCheckpoint, CheckpointReply, command_name};

use crate::kit::{Kit, signer};

async fn ask(kit: &Kit, position: Option<u64>) -> Result<CheckpointReply, String> {
    kit.command(command_name::CHECKPOINT, &AskCheckpoint { position }).await
}

fn opened(reply: &CheckpointReply) -> Checkpoint {
    let checkpoint = Checkpoint::open(&reply.note, &[signer().verifier().clone()]).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (reply.size, reply.root));
    assert_eq!(checkpoint.origin, "layers/test", "the key's name");
    checkpoint
}

/// All leaves as one tile: these tests have fewer than 256 events.
async fn tiles(kit: &Kit) -> Tiles {
    let events: Vec<Vec<u8>> = sqlx::query_scalar("select event from ledger.events order by position")
        .fetch_all(&mut kit.db().await)
        .await
        .unwrap();
    let leaves: Vec<Hash> = events.iter().map(|event| leaf_hash(event)).collect();
    let mut tiles = Tiles::default();
    tiles.insert(0, 0, &Hash::concat(&leaves)).unwrap();
    tiles
}

#[tokio::test]
async fn what_is_signed_on_demand_is_the_log_as_it_is_and_each_goes_on_from_the_one_before() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let first = opened(&ask(&kit, None).await.unwrap());
    assert_eq!(first.size as i64, kit.number("select position from ledger.head").await);
    assert_eq!(opened(&ask(&kit, None).await.unwrap()), first, "no news, no other checkpoint");
    assert_eq!(opened(&ask(&kit, Some(1)).await.unwrap()), first, "it covers what was before");
    let position = kit.add(account, 1, "news").await.unwrap().position;
    let second = opened(&ask(&kit, Some(position)).await.unwrap());
    assert!(second.size >= position);
    let tiles = tiles(&kit).await;
    assert_eq!((root(first.size, &tiles), root(second.size, &tiles)), (Ok(first.root), Ok(second.root)));
    let proof = consistency_proof(first.size, second.size, &tiles).unwrap();
    assert_eq!(verify_consistency(first.size, second.size, &proof, first.root, second.root), Ok(()));
    kit.finish().await;
}

#[tokio::test]
async fn many_who_ask_share_a_few_checkpoints() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let begun = std::time::Instant::now();
    let asked = join_all((0..40).map(|n| {
        let kit = &kit;
        async move {
            let position = kit.add(account, 1, &format!("payment {n}")).await.unwrap().position;
            let reply = ask(kit, Some(position)).await.unwrap();
            assert!(opened(&reply).size >= position);
        }
    }));
    asked.await;
    let most = 2 + begun.elapsed().as_millis() as i64 / 200;
    let signed = kit.number("select count(*) from ledger.checkpoints").await;
    assert!((1..=most).contains(&signed), "{signed} checkpoints in {:?}", begun.elapsed());
    kit.finish().await;
}

#[tokio::test]
async fn news_is_signed_without_being_asked() {
    let mut kit = Kit::start().await;
    kit.kill_ledgers().await;
    let mut config = kit.config();
    config.checkpoint.every = Duration::from_millis(300);
    kit.start_ledger_with(config);
    kit.until_serving().await;
    let account = kit.open_account(100).await;
    for n in 0..3 {
        kit.add(account, 1, &format!("payment {n}")).await.unwrap();
        kit.until_number("select position - (select max(size) from ledger.checkpoints) from ledger.head", 0).await;
    }
    kit.finish().await;
}

#[tokio::test]
async fn who_has_lost_the_epoch_signs_nothing() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let before = opened(&ask(&kit, None).await.unwrap());
    kit.add(account, 1, "news").await.unwrap();
    // Another one takes over, and the old one has not heard of it.
    sqlx::query("update ledger.head set epoch = epoch + 1").execute(&mut kit.db().await).await.unwrap();
    assert!(ask(&kit, None).await.is_err());
    assert_eq!(kit.number("select max(size) from ledger.checkpoints").await as u64, before.size);
    kit.finish().await;
}

#[tokio::test]
async fn checkpoints_are_for_ever_and_gateways_see_hashes_only() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    ask(&kit, None).await.unwrap();
    let mut db = kit.db().await;
    for change in
        ["update ledger.checkpoints set note = ''", "delete from ledger.checkpoints", "truncate ledger.checkpoints"]
    {
        let refused = sqlx::query(change).execute(&mut db).await.unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{change}: {refused}");
    }
    sqlx::query("set role layers_gateway").execute(&mut db).await.unwrap();
    for sql in ["select event from ledger.events", "select position from ledger.head", "select * from ledger.accounts"]
    {
        let refused = sqlx::query(sql).execute(&mut db).await.unwrap_err().to_string();
        assert!(refused.contains("permission denied"), "{sql}: {refused}");
    }
    let hashes: Vec<Vec<u8>> =
        sqlx::query_scalar("select hash from ledger.leaf_hashes(0, 256)").fetch_all(&mut db).await.unwrap();
    let all: i64 = sqlx::query_scalar("select max(size) from ledger.checkpoints").fetch_one(&mut db).await.unwrap();
    assert_eq!(hashes.len() as i64, all);
    let more: Vec<Vec<u8>> =
        sqlx::query_scalar("select hash from ledger.leaf_hashes(0, 257)").fetch_all(&mut db).await.unwrap();
    assert!(more.is_empty(), "a tile's worth at a time");
    let prices: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select * from ledger.event_of_price_book(1)").fetch_all(&mut db).await.unwrap();
    assert_eq!(prices.len(), 1);
    assert_eq!(leaf_hash(&prices[0].1).0.to_vec(), hashes[prices[0].0 as usize - 1], "SQL hashes as Rust does");
    // An account's events by its id only, and by nobody else's role.
    let feed = "select position from ledger.events_of_account($1, 0, 1000000, 1000)";
    let of = async |db: &mut sqlx::PgConnection, account: uuid::Uuid| {
        sqlx::query_scalar::<_, i64>(feed).bind(account).fetch_all(db).await
    };
    let opened = account.0;
    assert_eq!(of(&mut db, opened).await.unwrap().len(), 2, "the opening, and its credits");
    assert!(of(&mut db, uuid::Uuid::nil()).await.unwrap().is_empty());
    for role in ["layers_analyst", "layers_projector"] {
        sqlx::query(sqlx::AssertSqlSafe(format!("set role {role}"))).execute(&mut db).await.unwrap();
        let refused = of(&mut db, opened).await.unwrap_err().to_string();
        assert!(refused.contains("permission denied"), "{role}: {refused}");
    }
    kit.finish().await;
}

#[tokio::test]
async fn without_a_key_nothing_is_bound() {
    let kit = Kit::start().await;
    let mut config = kit.config();
    // A port that is taken: what is tried first is told first.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    config.listen = listener.local_addr().unwrap().to_string();
    config.checkpoint = CheckpointConfig { key: None, ..config.checkpoint };
    let error = format!("{:#}", ledger::serve::serve(config).await.unwrap_err());
    assert!(error.contains("LAYERS_CHECKPOINT_KEY is not set") && error.contains("keygen"), "{error}");
    kit.finish().await;
}
