use futures_util::future::join_all;
use schemas::ids::AccountId;
use schemas::message::{AskCheckpoint, CheckpointReply, command_name};
use sqlx::{AssertSqlSafe, Executor, PgConnection};

use crate::kit::{Kit, assert_tree};

/// So many events, in whatever batches they come to.
async fn fill(kit: &Kit, account: AccountId, from: usize, events: usize) {
    for chunk in (from..from + events).collect::<Vec<_>>().chunks(64) {
        join_all(chunk.iter().map(|n| async move { kit.add(account, 1, &format!("payment {n}")).await.unwrap() }))
            .await;
    }
}

/// Changes what cannot be changed, as an owner who means harm would.
async fn tamper(db: &mut PgConnection, sql: &str) {
    db.execute("set session_replication_role = replica").await.unwrap();
    let changed = db.execute(AssertSqlSafe(sql)).await.unwrap();
    assert!(changed.rows_affected() > 0, "{sql} changes something");
    db.execute("set session_replication_role = origin").await.unwrap();
}

#[tokio::test]
async fn the_tree_goes_on_over_kills_takeovers_and_a_restart_of_postgres() {
    let mut kit = Kit::start().await;
    let account = kit.open_account(1_000).await;
    fill(&kit, account, 0, 200).await;
    kit.start_ledger();
    kit.first_ledger().kill();
    kit.until_serving().await;
    fill(&kit, account, 200, 150).await;
    assert_tree(&mut kit.db().await).await;
    kit.postgres.kill();
    kit.postgres.restart().unwrap();
    kit.until_serving().await;
    fill(&kit, account, 350, 200).await;
    // In the midst of appending.
    let (running, before) = (kit.first_ledger(), kit.number("select position from ledger.head").await);
    let begun: Vec<_> = (0..64).map(|n| format!("interrupted {n}")).collect();
    let interrupted = join_all(begun.iter().map(|reference| kit.add(account, 1, reference)));
    let done = || async { (kit.number("select position from ledger.head").await > before).then_some(()) };
    tokio::join!(interrupted, async {
        kit.until("the first of them is appended", done).await;
        running.kill();
    });
    kit.start_ledger();
    kit.until_serving().await;
    fill(&kit, account, 550, 10).await;
    assert!(kit.number("select count(*) from ledger.tiles where level = 0").await >= 2);
    kit.finish().await;
}

#[tokio::test]
async fn a_database_from_before_the_tree_is_filled_at_the_first_start() {
    let mut kit = Kit::start().await;
    let account = kit.open_account(1_000).await;
    fill(&kit, account, 0, 520).await;
    kit.kill_ledgers().await;
    let mut db = kit.db().await;
    tamper(&mut db, "delete from ledger.tiles").await;
    tamper(&mut db, "update ledger.head set tree_size = 0, tree_peaks = ''").await;
    kit.start_ledger();
    kit.until_serving().await;
    assert_tree(&mut db).await;
    fill(&kit, account, 520, 300).await;
    kit.finish().await;
}

#[tokio::test]
async fn one_changed_byte_lets_no_ledger_start() {
    let mut kit = Kit::start().await;
    let account = kit.open_account(1_000).await;
    fill(&kit, account, 0, 300).await;
    let _: CheckpointReply = kit.command(command_name::CHECKPOINT, &AskCheckpoint { position: None }).await.unwrap();
    kit.kill_ledgers().await;
    let mut db = kit.db().await;
    let flip =
        |column: &str, byte: usize| format!("{column} = set_byte({column}, {byte}, get_byte({column}, {byte}) # 1)");
    for (what, told) in [
        (format!("update ledger.tiles set {} where level = 1 and index = 0", flip("hashes", 31)), "ledger.tiles"),
        (format!("update ledger.tiles set {} where level = 0 and index = 0", flip("hashes", 4_000)), "ledger.tiles"),
        (format!("update ledger.head set {}", flip("tree_peaks", 0)), "ledger.tiles"),
        (format!("update ledger.events set {} where position = 300", flip("event", 20)), "ledger.tiles"),
        (format!("update ledger.checkpoints set {}", flip("root", 7)), "ledger.checkpoints"),
    ] {
        tamper(&mut db, &what).await;
        let refused = kit.refused_start().await;
        assert!(refused.contains(told), "{what}: {refused}");
        // The same change once more takes it back.
        tamper(&mut db, &what).await;
    }
    for (what, back, told) in [
        (
            "update ledger.checkpoints set size = size + 1",
            "update ledger.checkpoints set size = size - 1",
            "was signed",
        ),
        (
            "update ledger.tiles set level = 2 where level = 1",
            "update ledger.tiles set level = 1 where level = 2",
            "ledger.tiles",
        ),
    ] {
        tamper(&mut db, what).await;
        let refused = kit.refused_start().await;
        assert!(refused.contains(told), "{what}: {refused}");
        tamper(&mut db, back).await;
    }
    kit.start_ledger();
    kit.until_serving().await;
    fill(&kit, account, 300, 1).await;
    kit.finish().await;
}

#[tokio::test]
async fn tiles_only_grow() {
    let kit = Kit::start().await;
    let account = kit.open_account(1_000).await;
    fill(&kit, account, 0, 256).await;
    let mut db = kit.db().await;
    for change in [
        "update ledger.tiles set hashes = hashes where level = 0",
        "update ledger.tiles set hashes = set_byte(hashes, 0, get_byte(hashes, 0) # 1) where level = 1",
        "update ledger.tiles set index = 7 where level = 1",
        "delete from ledger.tiles where level = 1",
        "truncate ledger.tiles",
    ] {
        let refused = db.execute(change).await.unwrap_err().to_string();
        assert!(refused.contains("only grows"), "{change}: {refused}");
    }
    let short =
        "insert into ledger.tiles (level, index, hashes) values (0, 9, '\\x00'::bytea || sha256('a') || sha256('b'))";
    assert!(db.execute(short).await.is_err(), "not whole hashes");
    kit.finish().await;
}
