//! At any position the replay says what a plain fold says, however little it remembers; and so do the trial balance and the
//! statements of the months.

use ledger::folding::Folding;
use ledger::format::Format;
use ledger::log::{Filter, Logged, Pages};
use ledger::place::{Reached, reached};
use ledger::progress::Progress;
use ledger::range::Mark;
use ledger::replay::{Balances, history, replay};
use ledger::statement::{Month, Statement, StatementFormat, statement};
use ledger::trial_balance::TrialBalance;
use schemas::books::{Books, postings};
use schemas::event::{UsageRecorded, UsageSource};
use schemas::ids::{AccountId, RequestId};
use schemas::message::{AdjustCredits, AskCheckpoint, CheckpointReply, CreditsReply, command_name};
use schemas::money::Nanocredits;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::kit::{Kit, MODEL, Puppet, used};

/// What happened to two accounts, and where.
struct Told {
    kit: Kit,
    account: AccountId,
    other: AccountId,
    /// Runs while the month ends.
    running: RequestId,
    /// The last position of the first month.
    cut: u64,
}

/// Two months of two accounts.
async fn told() -> Told {
    let mut kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let other = kit.open_account(50).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 80).await.unwrap();
    gateway.lease(&kit, other, 0, 20).await.unwrap();
    let first = gateway.whole_request(account, 30, 10_000, 24).await;
    let running = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, running, 10);
    gateway.publish_through(0, &authorization).await.unwrap();
    kit.until_number("select held / 1000000000 from ledger.accounts where held > 0", 10).await;
    let cut = kit.number("select position from ledger.head").await as u64;

    // The second month: more was used than was held, an estimate, a release, and a correction.
    let usage = gateway.usage(account, running, 5_000);
    gateway.publish(&usage).await;
    let deduction = gateway.deduction(account, running, 10);
    gateway.publish(&deduction).await;
    let estimated = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(account, estimated, 3);
    gateway.publish_through(1, &authorization).await.unwrap();
    let usage = UsageRecorded { source: UsageSource::Estimated, ..used(1_000) };
    let usage = gateway.event(account, Some(estimated), &usage);
    gateway.publish(&usage).await;
    let deduction = gateway.deduction(account, estimated, 2);
    gateway.publish(&deduction).await;
    let released = RequestId(Uuid::now_v7());
    let authorization = gateway.authorization(other, released, 4);
    gateway.publish_through(2, &authorization).await.unwrap();
    let release = gateway.release(other, released, None);
    gateway.publish(&release).await;
    // Once more of a request that has long ended: recorded, and moves nothing.
    let again = gateway.authorization(account, first, 30);
    gateway.publish_through(3, &again).await.unwrap();
    let again = gateway.deduction(account, first, 24);
    gateway.publish(&again).await;
    kit.until_number("select count(*) from ledger.notes where note = 'second_ending'", 1).await;
    let ask = AdjustCredits {
        account_id: account,
        request_id: None,
        amount: "-5.5".parse().unwrap(),
        loss: Nanocredits::ZERO,
        take_what_there_is: false,
        reference: "ticket-7".into(),
        by: "test".into(),
        why: "a <slip>, \"and\" more".into(),
    };
    let _: CreditsReply = kit.command(command_name::ADJUST_CREDITS, &ask).await.unwrap();
    let _: CheckpointReply = kit.command(command_name::CHECKPOINT, &AskCheckpoint { position: None }).await.unwrap();
    kit.kill_ledgers().await;
    Told { kit, account, other, running, cut }
}

async fn events(db: &mut PgConnection) -> Vec<Logged> {
    Pages::new(Filter::default()).next(db).await.unwrap()
}

fn balances(books: &Books, position: u64) -> Balances {
    Balances::of(books, None, Reached { position, recorded_at: None }).unwrap()
}

#[tokio::test]
async fn at_any_position_the_replay_is_the_fold() {
    let told = told().await;
    let db = &mut told.kit.db().await;
    let events = events(db).await;
    let mut books = Books::default();
    // Not even the last request that is over is remembered.
    let mut forgetful = Folding::remembering(0);
    let mut trial = TrialBalance::default();
    for logged in &events {
        let position = logged.position;
        books.apply(position, &logged.event).unwrap();
        let moved = forgetful.apply(db, logged).await.unwrap();
        assert!(forgetful.books().holds.len() <= 2, "requests that are over are forgotten");
        trial.post(logged.event.header.livemode, &postings(&moved).unwrap());

        let should = balances(&books, position).accounts;
        assert_eq!(balances(forgetful.books(), position).accounts, should, "at {position}");
        let replayed = replay(db, None, position, &mut Progress::silent(), |_, _, _| Ok(())).await.unwrap();
        assert_eq!(balances(replayed.books(), position).accounts, should, "at {position}");
        for account in [told.account, told.other].into_iter().filter(|id| books.accounts.contains_key(id)) {
            let replayed =
                replay(db, Some(account), position, &mut Progress::silent(), |_, _, _| Ok(())).await.unwrap();
            assert_eq!(replayed.books().accounts[&account], books.accounts[&account], "at {position}");
        }
        let shown = trial.close(&books, Reached { position, recorded_at: None });
        assert!(shown.balanced, "{:?}", shown.differences);
    }
    assert_eq!(events.len() as i64, told.kit.number("select position from ledger.head").await);
    told.kit.finish().await;
}

#[tokio::test]
async fn a_history_is_told_in_text_csv_and_json_of_one_account_or_all() {
    let told = told().await;
    let db = &mut told.kit.db().await;
    let end = reached(db, None).await.unwrap();
    let all = events(db).await;
    for account in [None, Some(told.account)] {
        let mut printed = Vec::new();
        for format in [Format::Text, Format::Csv, Format::Json] {
            let mut out = Vec::new();
            history(db, account, end.position, format, &mut out, &mut Progress::silent()).await.unwrap();
            printed.push(String::from_utf8(out).unwrap());
        }
        let is_told = |logged: &&Logged| account.is_none() || logged.event.header.account_id == account;
        let should: Vec<_> = all.iter().filter(is_told).collect();
        assert_eq!([printed[0].lines().count(), printed[1].lines().count()], [should.len() + 1; 2]);
        let lines: Vec<serde_json::Value> =
            printed[2].lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), should.len());
        for (line, logged) in lines.iter().zip(should) {
            let own: serde_json::Value = serde_json::from_slice(&logged.bytes).unwrap();
            assert_eq!((line["position"].as_u64(), &line["event"]), (Some(logged.position), &own));
        }
        let last = lines.iter().rfind(|line| line["event"]["account_id"] == told.account.to_string()).unwrap();
        // 100 − 24 − 10 − 2.4 − 5.5
        assert_eq!((&last["balance"], &last["held"]), (&"58.1".into(), &"0".into()));
        assert!(
            printed[1].contains(",\"adjust -5.5 (ticket-7) by test: a <slip>, \"\"and\"\" more\"\n"),
            "{}",
            printed[1]
        );
    }
    let beyond = reached(db, Some(Mark::Position(end.position + 1))).await;
    assert!(beyond.unwrap_err().to_string().starts_with("the log ends at position"));
    told.kit.finish().await;
}

/// Puts the two halves of the story into two months, to the microsecond.
async fn in_two_months(told: &Told) {
    let mut db = told.kit.db().await;
    sqlx::query("set session_replication_role = replica").execute(&mut db).await.unwrap();
    sqlx::query(
        "update ledger.events set recorded_at =
             case when position <= $1 then '2026-09-30 23:59:59.999999Z'::timestamptz else '2026-10-01 00:00:00Z' end",
    )
    .bind(told.cut as i64)
    .execute(&mut db)
    .await
    .unwrap();
}

async fn of_month(told: &Told, account: AccountId, month: &str) -> anyhow::Result<Statement> {
    let month: Month = month.parse().unwrap();
    statement(&mut told.kit.db().await, account, month, |_| Progress::silent()).await
}

fn amounts(statement: &Statement) -> [String; 6] {
    let Statement { opening_balance, totals, closing_balance, held, .. } = statement;
    [*opening_balance, totals.top_ups, totals.charges, totals.adjustments, *closing_balance, *held]
        .map(|amount: Nanocredits| amount.to_string())
}

#[tokio::test]
async fn a_statement_is_cut_to_the_microsecond_and_adds_up() {
    let told = told().await;
    in_two_months(&told).await;
    let head = told.kit.number("select position from ledger.head").await as u64;

    let september = of_month(&told, told.account, "2026-09").await.unwrap();
    assert_eq!(amounts(&september), ["0", "100", "24", "0", "76", "10"]);
    assert_eq!((september.proof.positions.from, september.proof.positions.until), (1, told.cut));
    assert!(september.is_final);
    let [open] = &september.open_holds[..] else { panic!("{:?}", september.open_holds) };
    assert_eq!((open.request_id, open.position, open.model.as_str()), (told.running, told.cut, MODEL));

    let october = of_month(&told, told.account, "2026-10").await.unwrap();
    assert_eq!(amounts(&october), ["76", "0", "12.4", "-5.5", "58.1", "0"]);
    assert_eq!((october.proof.positions.from, october.proof.positions.until), (told.cut + 1, head));
    let [charge] = &october.charges[..] else { panic!("{:?}", october.charges) };
    assert_eq!((charge.model.as_str(), charge.price_version), (MODEL, 1));
    assert_eq!((charge.requests, charge.estimated, charge.usage.output_tokens), (2, 1, 6_000));
    assert_eq!(october.adjustments[0].reference, "ticket-7");
    let other = of_month(&told, told.other, "2026-10").await.unwrap();
    assert_eq!((amounts(&other), other.requests_not_charged), (["50", "0", "0", "0", "50", "0"].map(String::from), 1));

    let before = of_month(&told, told.account, "2026-08").await.unwrap_err();
    assert!(before.to_string().contains("did not exist in 2026-08"), "{before}");
    let future = of_month(&told, told.account, "9999-01").await.unwrap_err();
    assert_eq!(future.to_string(), "9999-01 has not begun");
    told.kit.finish().await;
}

#[tokio::test]
async fn a_statement_is_told_in_every_form_and_names_its_checkpoint() {
    let told = told().await;
    in_two_months(&told).await;
    let print = |statement: &Statement, format| {
        let mut out = Vec::new();
        statement.write(format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let october = of_month(&told, told.account, "2026-10").await.unwrap();

    let csv = print(&october, StatementFormat::Csv);
    let cells = |line: &str| {
        let (section, rest) = line.split_once(',').unwrap();
        (section.to_owned(), rest.rsplit_once(',').unwrap().1.parse::<Nanocredits>().unwrap())
    };
    let lines: Vec<_> = csv.lines().skip(1).map(cells).collect();
    let (closing, parts) = lines.split_last().unwrap();
    let sum = parts.iter().map(|(_, amount)| amount.get()).sum();
    assert_eq!((closing.0.as_str(), closing.1), ("closing_balance", Nanocredits::new(sum)), "{csv}");

    let json: serde_json::Value = serde_json::from_str(&print(&october, StatementFormat::Json)).unwrap();
    assert_eq!((&json["closing_balance"], &json["totals"]["charges"]), (&"58.1".into(), &"12.4".into()), "{json}");
    assert_eq!(json["proof"]["positions"]["from"], told.cut + 1);
    let text = print(&october, StatementFormat::Text);
    assert!(text.contains("estimated: requests whose provider did not say its figures"), "{text}");
    let html = print(&october, StatementFormat::Html);
    assert!(html.contains("a &lt;slip&gt;, &quot;and&quot; more") && !html.contains("<slip>"), "{html}");
    assert!(text.contains(MODEL) && html.contains("anthropic/<wbr>claude-sonnet-4.5"));
    for part in ["58.1", "12.4", "-5.5", "ticket-7", &told.account.to_string()] {
        assert!(text.contains(part) && html.contains(part), "{part}");
    }
    assert!(["<script", "http://", "https://"].iter().all(|foreign| !html.contains(foreign)), "{html}");

    let checkpoint = october.proof.checkpoint.as_ref().expect("the log was signed at its end");
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("layers/test", october.proof.positions.until));
    for part in [&checkpoint.origin, &checkpoint.root, &checkpoint.size.to_string()] {
        assert!(text.contains(part.as_str()) && html.contains(part.as_str()), "{part}");
    }
    told.kit.finish().await;
}
