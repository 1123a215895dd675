//! What someone with all rights over the database could do. Each is found, and named by its position.

use ledger::verify::Report;
use schemas::merkle::note::SignerKey;
use schemas::merkle::{Checkpoint, Frontier, Hash, leaf_hash};
use sqlx::{PgConnection, Row};

use crate::kit::{Books, change, number, owner, verified};

/// In the midst of the log, in a tile that is full.
const AT: u64 = 700;

/// Spoils a copy and verifies it.
async fn spoiled(books: &Books, name: &str, spoil: impl AsyncFnOnce(&mut PgConnection)) -> Report {
    let copy = books.copy(name).await;
    let mut db = owner(&copy).await;
    spoil(&mut db).await;
    drop(db);
    let report = verified(&copy, None).await;
    books.drop(name).await;
    assert!(!report.ok, "{name} was not found");
    report
}

fn named(report: &Report, of: &str, position: impl Into<Option<u64>>) {
    let position = position.into();
    let found = report.differences.iter().any(|difference| difference.of == of && difference.position == position);
    assert!(found, "no {of} at {position:?}: {:#?}", report.differences);
}

fn first(report: &Report, position: u64) {
    assert_eq!(report.differences[0].position, Some(position), "{:#?}", report.differences);
}

#[tokio::test(flavor = "multi_thread")]
async fn tampering_with_events_is_found_and_named_by_position() {
    let books = Books::made(2_000).await;
    let last = books.last;

    let report = spoiled(&books, "one_byte", async |db| change_a_byte(db, AT).await).await;
    first(&report, AT);
    named(&report, "tree", AT);

    let report = spoiled(&books, "a_column", async |db| {
        change(db, &format!("update ledger.events set account_id = null where position = {AT}")).await;
    })
    .await;
    first(&report, AT);
    named(&report, "events", AT);

    let report = spoiled(&books, "a_swap", async |db| {
        for (from, to) in [(AT, 900_000), (AT + 9, AT), (900_000, AT + 9)] {
            change(db, &format!("update ledger.events set position = {to} where position = {from}")).await;
        }
    })
    .await;
    first(&report, AT);
    named(&report, "tree", AT);
    named(&report, "tree", AT + 9);

    let report = spoiled(&books, "a_gap", async |db| {
        change(db, &format!("delete from ledger.events where position = {AT}")).await;
    })
    .await;
    first(&report, AT);
    named(&report, "positions", AT);

    let report = spoiled(&books, "no_tail", async |db| {
        change(db, &format!("delete from ledger.events where position > {}", last - 10)).await;
    })
    .await;
    first(&report, last - 9);
    named(&report, "head", last - 9);
    named(&report, "checkpoints", last - 9);

    // With a head that fits, what was signed still tells.
    let report = spoiled(&books, "no_tail_and_no_word_of_it", async |db| {
        change(db, &format!("delete from ledger.events where position > {}", last - 10)).await;
        rebuild_tree(db).await;
        change(db, &format!("update ledger.head set position = {}", last - 10)).await;
    })
    .await;
    named(&report, "checkpoints", last - 9);

    let report = spoiled(&books, "one_more", async |db| {
        change(
            db,
            &format!(
                "insert into ledger.events (position, event_id, event_type, account_id, request_id, emitter, seq, event)
                 select {}, gen_random_uuid(), event_type, account_id, request_id, emitter, seq + 1000000, event
                 from ledger.events where position = {AT}",
                last + 1
            ),
        )
        .await;
    })
    .await;
    first(&report, last + 1);
    named(&report, "head", last + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hashes_the_whole_tree_again_fails_at_what_was_signed() {
    let books = Books::made(2_000).await;
    let report = spoiled(&books, "a_new_tree", async |db| {
        change_a_byte(db, AT).await;
        rebuild_tree(db).await;
    })
    .await;
    // What is asked of the whole books is asked in a copy: sessions would hold back the copies to come.
    let mut db = owner(&books.copy("to_ask").await).await;
    let signed = number(&mut db, &format!("select min(size) from ledger.checkpoints where size >= {AT}")).await;
    named(&report, "checkpoints", signed);
    let wrong = report.differences.iter().filter(|difference| difference.of == "checkpoints");
    let all = number(&mut db, &format!("select count(*) from ledger.checkpoints where size >= {AT}")).await;
    // Root and note of each.
    assert_eq!(wrong.count() as u64, 2 * all);

    // Signed anew, by a key of one's own.
    let forger = SignerKey::from_seed("layers/books", [9; 32]).unwrap();
    let forged = async |db: &mut PgConnection, root: Hash| {
        let note = Checkpoint { origin: "layers/books".to_owned(), size: signed, root }.sign(&forger);
        sqlx::query("update ledger.checkpoints set root = $1, note = $2 where size = $3")
            .bind(&root.0[..])
            .bind(note)
            .bind(signed as i64)
            .execute(db)
            .await
            .unwrap();
    };
    let report = spoiled(&books, "another_root", async |db| forged(db, leaf_hash(b"another log")).await).await;
    first(&report, signed);
    named(&report, "checkpoints", signed);
    let row = sqlx::query("select root from ledger.checkpoints where size = $1").bind(signed as i64);
    let root = Hash::from_slice(row.fetch_one(&mut db).await.unwrap().get(0)).unwrap();
    let report = spoiled(&books, "another_signature", async |db| forged(db, root).await).await;
    first(&report, signed);
    assert_eq!(report.difference_count, 1, "{:#?}", report.differences);
    assert_eq!(report.signatures, Some(report.checkpoints - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn tampering_with_what_is_derived_is_found_and_named() {
    let books = Books::made(2_000).await;
    let mut db = owner(&books.copy("to_ask").await).await;
    // A request of before AT that has ended, and the last event of an account.
    let of_usage = number(
        &mut db,
        &format!(
            "select max(position) from read_models.requests where ended and charged_credits > 0 and position < {AT}"
        ),
    )
    .await;
    let row = format!("(select request_id from ledger.events where position = {of_usage})");
    let of_balance = number(&mut db, "select max(position) from read_models.credit_balances where charged > 0").await;
    let account = format!("(select account_id from ledger.events where position = {of_balance})");
    let reference = number(&mut db, "select min(position) from ledger.refs").await;
    let note = number(&mut db, "select min(position) from ledger.notes").await;
    let fence = number(&mut db, "select min(position) from ledger.events where event_type = 'GatewayFenced'").await;
    let price = number(&mut db, "select max(position) from ledger.price_books").await;
    let hold = |set: &str| format!("update ledger.holds set {set} where request_id = {row}");
    let usage = |set: &str| format!("update read_models.requests set {set} where request_id = {row}");
    // Each spoils other rows than the others of its round.
    let rounds: Vec<Vec<(String, &str, Option<u64>)>> = vec![
        vec![
            (
                format!(
                    "update ledger.accounts set charged = charged - 1, unleased = unleased + 1 where account_id = {account}"
                ),
                "accounts",
                Some(of_balance),
            ),
            ("update ledger.leases set granted = granted + 1 where not closed".into(), "leases", Some(of_balance)),
            ("update ledger.leases set granted = granted + 1 where closed".into(), "leases", Some(fence)),
            (hold("usage = usage + 1"), "holds", Some(of_usage)),
            (
                format!("insert into ledger.holds (request_id, account_id) values (gen_random_uuid(), {account})"),
                "holds",
                None,
            ),
            ("update ledger.emitters set seen = '{[1,2)}' where fenced".into(), "emitters", Some(fence)),
            ("update ledger.keys set revoked = true".into(), "keys", None),
            ("update ledger.refs set amount = amount + 1".into(), "refs", Some(reference)),
            (format!("delete from ledger.notes where position = {note}"), "notes", Some(note)),
            (
                format!("update ledger.price_books set position = position - 1 where position = {price}"),
                "price_books",
                Some(price),
            ),
            (
                "update ledger.tiles set hashes = set_byte(hashes, 33, 255 - get_byte(hashes, 33)) where level = 1"
                    .into(),
                "tiles",
                Some(257),
            ),
            (usage("model_id = 'openai/gpt-4o'"), "usage_logs", Some(of_usage)),
            (
                "update read_models.credit_balances set bought = bought + 1 where charged > 0".into(),
                "credit_balances",
                Some(of_balance),
            ),
            (
                "update read_models.credit_transactions set reason = 'none'".into(),
                "credit_transactions",
                Some(reference),
            ),
            (
                format!("update read_models.journal set balance_after = balance_after + 1 where position = {of_usage}"),
                "journal",
                Some(of_usage),
            ),
            (
                format!(
                    "insert into read_models.journal (version, account_id, position, recorded_at, livemode, entry, held, balance_after, held_after)
                     select version, account_id, position + 1000000, recorded_at, livemode, entry, held, balance_after, held_after
                     from read_models.journal where position = {of_usage}"
                ),
                "journal",
                None,
            ),
            ("update read_models.usage_by_day set requests = requests + 1".into(), "usage_daily", None),
            ("update read_models.usage_hourly set failed = failed + 1".into(), "usage_hourly", None),
            ("delete from read_models.usage_monthly".into(), "usage_monthly", None),
            ("update read_models.model_daily set cost_usd = cost_usd + 1".into(), "model_daily", None),
            ("update read_models.latency_daily set from_ms = from_ms + 1".into(), "latency_daily", None),
            ("update read_models.api_keys set last_used_at = null".into(), "api_keys", None),
            ("delete from read_models.fenced_gateways".into(), "fenced_gateways", Some(fence)),
        ],
        vec![
            (hold("authorized_time = authorized_time - interval '1 hour'"), "holds", Some(of_usage)),
            (format!("insert into ledger.refs values ({account}, 'made up', 1, 1)"), "refs", None),
            (format!("insert into ledger.notes values ({AT}, 'made_up')"), "notes", Some(AT)),
            ("delete from ledger.tiles where level = 0 and index = 1".into(), "tiles", Some(257)),
            (
                "update ledger.head set tree_peaks = set_byte(tree_peaks, 0, 255 - get_byte(tree_peaks, 0))".into(),
                "head",
                Some(1),
            ),
            (usage("charged_credits = charged_credits - 0.000000001"), "usage_logs", Some(of_usage)),
            (
                format!("update ledger.events set recorded_at = recorded_at + interval '1 day' where position = {AT}"),
                "recorded_at",
                Some(AT + 1),
            ),
        ],
        vec![
            (format!("delete from ledger.holds where request_id = {row}"), "holds", Some(of_usage)),
            ("update ledger.head set position = position + 1".into(), "head", Some(books.last + 1)),
            (
                usage("output_tokens = output_tokens - 1, finished_at = finished_at + interval '1 day'"),
                "usage_logs",
                Some(of_usage),
            ),
        ],
        vec![(format!("delete from read_models.requests where request_id = {row}"), "usage_logs", Some(of_usage))],
    ];
    for (number, round) in rounds.into_iter().enumerate() {
        let report = spoiled(&books, &format!("round_{number}"), async |db| {
            for (sql, ..) in &round {
                change(db, sql).await;
            }
        })
        .await;
        for (sql, of, position) in round {
            let found =
                report.differences.iter().any(|difference| difference.of == of && difference.position == position);
            assert!(found, "{sql}: no {of} at {position:?}: {:#?}", report.differences);
        }
    }
}

/// Another digit within the event's data: the bytes are still an event.
async fn change_a_byte(db: &mut PgConnection, position: u64) {
    let row = sqlx::query("select event from ledger.events where position = $1").bind(position as i64);
    let mut bytes: Vec<u8> = row.fetch_one(&mut *db).await.unwrap().get(0);
    let at = bytes.windows(7).position(|window| window == b"\"time\":").unwrap() + 8;
    bytes[at + 3] = if bytes[at + 3] == b'9' { b'8' } else { b'9' };
    sqlx::query("update ledger.events set event = $1 where position = $2")
        .bind(bytes)
        .bind(position as i64)
        .execute(db)
        .await
        .unwrap();
}

/// Hashes the log as it is now, and puts that in the place of its tree.
async fn rebuild_tree(db: &mut PgConnection) {
    let rows = sqlx::query("select event from ledger.events order by position").fetch_all(&mut *db).await.unwrap();
    let mut tree = Frontier::default();
    let grown = tree.extend(rows.iter().map(|row| leaf_hash(row.get(0))));
    sqlx::query("delete from ledger.tiles").execute(&mut *db).await.unwrap();
    for (tile, hashes) in &grown.0 {
        sqlx::query("insert into ledger.tiles values ($1, $2, $3)")
            .bind(i16::from(tile.level))
            .bind(tile.index as i64)
            .bind(Hash::concat(hashes))
            .execute(&mut *db)
            .await
            .unwrap();
    }
    sqlx::query("update ledger.head set position = $1, tree_size = $1, tree_peaks = $2")
        .bind(tree.size() as i64)
        .bind(Hash::concat(tree.edge().peaks()))
        .execute(db)
        .await
        .unwrap();
}
