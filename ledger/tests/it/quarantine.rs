use ledger::emitters::{Emitter, emitters};
use ledger::quarantine::{Filter, State, counts, list, show};
use ledger::verify::Report;
use schemas::event::Event;
use schemas::hash::MessageHash;
use schemas::ids::{AccountId, RequestId};
use schemas::message::{DismissQuarantined, QuarantineReply, ReplayQuarantined, command_name};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::kit::{Kit, Puppet, Sent};

async fn replay(kit: &Kit, entry: i64) -> Result<QuarantineReply, String> {
    let ask = ReplayQuarantined { entry: entry as u64, by: "ops".into(), why: "the rule is met now".into() };
    kit.command(command_name::REPLAY_QUARANTINED, &ask).await
}

async fn dismiss(kit: &Kit, entry: i64) -> Result<QuarantineReply, String> {
    let ask = DismissQuarantined { entry: entry as u64, by: "ops".into(), why: "a trial by hand".into() };
    kit.command(command_name::DISMISS_QUARANTINED, &ask).await
}

/// The ids of the entries that are open, once there are so many.
async fn open(kit: &Kit, count: i64) -> Vec<i64> {
    kit.until_number("select count(*) from ledger.quarantine where state = 'open'", count).await;
    list(&mut kit.db().await, &Filter::default(), 100).await.unwrap().iter().map(|entry| entry.id).collect()
}

async fn emitter(kit: &Kit, puppet: &Puppet) -> Emitter {
    emitters(&mut kit.db().await, Some(puppet.emitter.0)).await.unwrap().remove(0)
}

/// As an emitter of the future would say it.
fn of_the_future(sent: &Sent) -> Sent {
    let text = String::from_utf8(sent.bytes.clone()).unwrap();
    let version = if text.contains("\"version\":1") { "\"version\":1" } else { "\"version\":2" };
    Sent { subject: sent.subject.clone(), bytes: text.replacen(version, "\"version\":99", 1).into() }
}

/// A request that is authorized and ended; its usage is left to the test.
async fn without_usage(kit: &Kit, gateway: &mut Puppet, account: AccountId) -> Sent {
    gateway.lease(kit, account, 0, 60).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, request, 30);
    gateway.publish_through(0, &authorization).await.unwrap();
    let usage = gateway.usage(account, request, 10_000);
    let deduction = gateway.deduction(account, request, 24);
    gateway.publish(&deduction).await;
    usage
}

#[tokio::test]
async fn what_is_refused_stays_with_the_new_reason_until_it_can_be_true() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 10).await.unwrap();
    let request = RequestId(Uuid::now_v7());
    let too_much = gateway.authorization(account, request, 50);
    gateway.publish(&too_much).await;
    let entry = open(&kit, 1).await[0];
    assert_eq!(replay(&kit, entry).await.unwrap_err(), "StillRefused");
    let shown = show(&mut kit.db().await, entry as u64).await.unwrap().unwrap();
    assert_eq!(shown.entry.retry_reason.as_deref(), Some("the lease has not as much"));
    assert_eq!((shown.sha256, shown.reads_as.as_str()), (MessageHash::of(&too_much.bytes), "RequestAuthorized"));
    assert_eq!(shown.text.as_deref().map(str::as_bytes), Some(too_much.bytes.as_slice()));
    assert_eq!(kit.money(account).await, [90, 10, 0, 0, 0]);

    gateway.lease(&kit, account, 10, 50).await.unwrap();
    let replayed = replay(&kit, entry).await.unwrap();
    assert_eq!(kit.money(account).await, [40, 10, 50, 0, 0]);
    // The event as it came, and who did it and why, one after the other.
    let event_position = replayed.event_position.unwrap();
    assert_eq!(replayed.position, event_position + 1);
    let stored: Vec<u8> = sqlx::query_scalar("select event from ledger.events where position = $1")
        .bind(event_position as i64)
        .fetch_one(&mut kit.db().await)
        .await
        .unwrap();
    assert_eq!(stored, too_much.bytes);
    // Once; whatever is tried.
    assert_eq!(replay(&kit, entry).await.unwrap_err(), "EntryClosed");
    assert_eq!(dismiss(&kit, entry).await.unwrap_err(), "EntryClosed");
    assert_eq!(replay(&kit, 4_711).await.unwrap_err(), "UnknownEntry");
    // And what comes again is known.
    gateway.publish(&too_much).await;
    kit.until_number("select count from ledger.repeats", 1).await;
    assert_eq!(kit.money(account).await, [40, 10, 50, 0, 0]);
    let seen = emitter(&kit, &gateway).await;
    assert_eq!((seen.appended, seen.repeats, seen.quarantined.len(), seen.holes.len()), (1, 1, 0, 0));
    kit.finish().await;
}

#[tokio::test]
async fn a_version_from_the_future_is_kept_once_and_its_sender_need_not_keep_it() {
    use futures_util::StreamExt;
    let mut kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    let mut told = kit.client.subscribe(kit.cell.appended(gateway.emitter)).await.unwrap();
    let usage = without_usage(&kit, &mut gateway, account).await;
    let future = of_the_future(&usage);
    gateway.publish(&future).await;
    gateway.publish(&future).await;
    loop {
        let appended: schemas::message::Appended = serde_json::from_slice(&told.next().await.unwrap().payload).unwrap();
        if appended.through == 3 {
            break;
        }
    }
    let entry = open(&kit, 1).await[0];
    kit.until_number("select count from ledger.repeats", 1).await;
    assert_eq!(replay(&kit, entry).await.unwrap_err(), "StillRefused");
    let seen = emitter(&kit, &gateway).await;
    assert_eq!((seen.appended, seen.last_seq, seen.quarantined.as_slice()), (2, 3, &[(2, 2)][..]));
    // Given up, it stays accounted for: also by a ledger that loads it anew.
    let dismissed = dismiss(&kit, entry).await.unwrap();
    assert_eq!(replay(&kit, entry).await.unwrap_err(), "EntryClosed");
    kit.kill_ledgers().await;
    kit.start_ledger();
    kit.until_serving().await;
    assert_eq!(dismiss(&kit, entry).await.unwrap_err(), "EntryClosed");
    gateway.publish(&future).await;
    kit.until_number("select count from ledger.repeats", 2).await;
    let all = Filter { state: State::All, ..Filter::default() };
    let entries = list(&mut kit.db().await, &all, 100).await.unwrap();
    assert_eq!((entries.len(), entries[0].position), (1, Some(dismissed.position as i64)));
    let counted = counts(&mut kit.db().await, &all).await.unwrap();
    assert_eq!((counted[0].state.as_str(), counted[0].count), ("dismissed", 1));
    assert!(counted[0].reason.contains("has no version 99"), "{counted:?}");
    // Whoever was dismissed may have said the same in words that can be read. It is the same number, and not heard.
    gateway.publish(&usage).await;
    kit.until_number("select count from ledger.repeats", 3).await;
    assert_eq!(kit.money(account).await, [40, 30, 30, 0, 0]);
    assert_eq!(kit.verify().await.quarantined, 0);
    kit.finish().await;
}

#[tokio::test]
async fn what_an_older_ledger_kept_without_reading_its_envelope_is_replayed_copies_and_all() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    let usage = without_usage(&kit, &mut gateway, account).await;
    kit.until_number("select count(*) from ledger.events where event_type = 'CreditsDeducted'", 1).await;
    // It was sent again and again, since nobody said that it had come. The last copy has another subject.
    for subject in [&usage.subject, &usage.subject, &usage.subject.replace("UsageRecorded", "CreditsDeducted")] {
        sqlx::query(
            "insert into ledger.quarantine (generation, stream_seq, subject, reason, message)
             values (1, 70, $1, 'event type ''UsageRecorded'' has no version 2 here', $2)",
        )
        .bind(subject)
        .bind(&usage.bytes)
        .execute(&mut kit.db().await)
        .await
        .unwrap();
    }
    let entries = open(&kit, 3).await;
    assert_eq!(emitter(&kit, &gateway).await.holes, [(2, 2)]);
    let first = replay(&kit, entries[0]).await.unwrap();
    assert_eq!(kit.money(account).await, [40, 36, 0, 24, 0]);
    // The second names the same event and moves nothing.
    let second = replay(&kit, entries[1]).await.unwrap();
    assert_eq!((second.event_position, second.position), (first.event_position, first.position + 1));
    assert_eq!(replay(&kit, entries[2]).await.unwrap_err(), "StillRefused");
    dismiss(&kit, entries[2]).await.unwrap();
    assert_eq!(kit.money(account).await, [40, 36, 0, 24, 0]);
    assert!(emitter(&kit, &gateway).await.holes.is_empty());
    kit.finish().await;
}

#[tokio::test]
async fn another_body_under_a_number_that_is_taken_can_only_be_given_up() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    let request = gateway.whole_request(account, 30, 10_000, 24).await;
    gateway.seq -= 1;
    let other_body = gateway.deduction(account, request, 3);
    gateway.publish(&other_body).await;
    let entry = open(&kit, 1).await[0];
    assert_eq!(replay(&kit, entry).await.unwrap_err(), "StillRefused");
    let shown = show(&mut kit.db().await, entry as u64).await.unwrap().unwrap();
    assert_eq!(shown.entry.retry_reason.as_deref(), Some("another event has this emitter and seq"));
    dismiss(&kit, entry).await.unwrap();
    assert_eq!(kit.money(account).await, [40, 36, 0, 24, 0]);
    kit.finish().await;
}

#[tokio::test]
async fn usages_of_both_versions_are_charged_alike_and_keep_their_bytes() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    let newer = without_usage(&kit, &mut gateway, account).await;
    let text = String::from_utf8(newer.bytes.clone()).unwrap();
    // As a gateway of the release before says it.
    let older = text
        .replacen("\"version\":2", "\"version\":1", 1)
        .replace("\"status\":\"success\"", "\"status\":\"error\",\"error_message\":\"the provider broke off\"");
    assert!(Event::decode(older.as_bytes()).is_ok() && older != text);
    gateway.publish(&Sent { subject: newer.subject, bytes: older.clone().into() }).await;
    kit.until_money(account, [40, 36, 0, 24, 0]).await;
    let stored: Vec<u8> = sqlx::query_scalar("select event from ledger.events where event_type = 'UsageRecorded'")
        .fetch_one(&mut kit.db().await)
        .await
        .unwrap();
    assert_eq!(String::from_utf8(stored).unwrap(), older);
    kit.finish().await;
}

#[tokio::test]
async fn the_quarantine_keeps_what_it_has_and_verify_names_what_was_changed_behind_its_back() {
    let mut kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    let usage = without_usage(&kit, &mut gateway, account).await;
    let too_much = gateway.authorization(account, RequestId(Uuid::now_v7()), 99);
    gateway.publish(&too_much).await;
    gateway.publish(&of_the_future(&usage)).await;
    let [replayed, dismissed] = open(&kit, 2).await[..] else { panic!("two are kept") };
    gateway.lease(&kit, account, 60, 30).await.unwrap();
    kit.add(account, 100, "more").await.unwrap();
    gateway.lease(&kit, account, 90, 40).await.unwrap();
    replay(&kit, replayed).await.unwrap();
    dismiss(&kit, dismissed).await.unwrap();
    kit.kill_ledgers().await;
    assert!(kit.verify().await.ok);
    for change in [
        "delete from ledger.quarantine",
        "truncate ledger.quarantine",
        "update ledger.quarantine set message = 'x'",
        "update ledger.quarantine set reason = 'x'",
    ] {
        let refused = sqlx::query(change).execute(&mut kit.db().await).await.unwrap_err().to_string();
        assert!(refused.contains("keeps every message"), "{change}: {refused}");
    }
    let differs = |report: &Report| report.differences.iter().any(|difference| difference.of == "quarantine");
    for (change, back) in [
        ("state = 'dismissed' where state = 'replayed'", "state = 'replayed' where reason like 'the lease%'"),
        ("position = position + 1", "position = position - 1"),
        ("state = 'open', position = null where state = 'dismissed'", ""),
    ] {
        tamper(&kit, change).await;
        let report = kit.verify().await;
        assert!(!report.ok && differs(&report), "{change}: {report:#?}");
        if !back.is_empty() {
            tamper(&kit, back).await;
            assert!(kit.verify().await.ok, "{back}");
        }
    }
    tamper(&kit, "message = 'x' where state = 'replayed'").await;
    assert!(differs(&kit.verify().await));
}

/// What someone with all rights could do behind the ledger's back.
async fn tamper(kit: &Kit, change: &str) {
    let mut db = kit.db().await;
    sqlx::query("set session_replication_role = replica").execute(&mut db).await.unwrap();
    let sql = format!("update ledger.quarantine set {change}");
    assert!(sqlx::query(AssertSqlSafe(sql)).execute(&mut db).await.unwrap().rows_affected() > 0, "{change}");
}
