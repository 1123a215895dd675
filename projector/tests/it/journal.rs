//! The journal is what the books moved, balanced, and says what each account had at any position and time.

use std::collections::BTreeMap;

use proptest::prelude::*;
use schemas::books::{Applied, Books, Currency, postings};
use schemas::event::{Event, Payload, ReleaseReason};
use schemas::ids::AccountId;
use schemas::tier::Tier;

use crate::kit::{Shelf, Story, World, credits, log_of, steps};

proptest! {
    #[test]
    fn each_posting_is_what_the_books_moved_and_had(steps in steps(200), batch in 1_usize..40) {
        let (log, _) = log_of(&steps);
        let shelf = Shelf::of(&log, batch);
        let mut entries = shelf.journal.into_iter();
        let mut books = Books::default();
        for (event, position) in log.iter().zip(1_u64..) {
            let Ok(Applied::New { moved, .. }) = books.apply(position, event) else { panic!("{event:?}") };
            if moved.is_nothing() && !matches!(event.payload, Payload::AccountOpened(_)) {
                continue;
            }
            let entry = entries.next().expect("the journal has an entry for it");
            let account = &books.accounts[&AccountId(entry.account_id)];
            prop_assert_eq!((entry.position as u64, event.header.account_id), (position, Some(account.account_id)));
            prop_assert_eq!(postings(&entry.moved), postings(&moved));
            prop_assert_eq!((entry.after.balance, entry.after.held), (account.balance().unwrap(), account.held));
        }
        prop_assert_eq!(entries.next(), None);
    }
}

/// An account and its requests, as they go: paid, released, expired, beyond the hold, late; and a correction.
fn a_story() -> Story {
    let mut story = Story::new();
    let account = story.opens(Tier::Team);
    let other = story.opens(Tier::Pro);
    story.leases(account, credits(60));
    story.buys(account, credits(100));
    story.buys(other, credits(7));
    story.leases(account, credits(60));
    story.pays(account, None);
    let [released, expired, beyond] = [story.request(), story.request(), story.request()];
    for request in [released, expired, beyond] {
        story.authorizes(account, request, None, credits(4));
    }
    story.releases(account, released, ReleaseReason::ProviderFailed);
    story.uses(account, beyond, 2_000, 5_000);
    story.deducts(account, beyond, credits(4));
    story.expires(account, expired);
    story.uses(account, expired, 2_000, 1_000);
    story.adjusts(account, Some(expired), credits(-3), credits(1));
    story.adjusts(other, None, credits(2), credits(0));
    let running = story.request();
    story.authorizes(account, running, None, credits(5));
    story
}

#[tokio::test(flavor = "multi_thread")]
async fn the_views_say_what_the_rules_say_at_every_position_and_time() {
    let world = World::new();
    let events = applied(&a_story().events);
    world.append(&events).await;
    world.project(5).await;

    let mut books = Books::default();
    let mut journal = Vec::new();
    for (event, position) in events.iter().zip(1_u64..) {
        let Ok(Applied::New { moved, .. }) = books.apply(position, event) else { panic!("{event:?}") };
        for line in postings(&moved).unwrap() {
            let (unit, name) = (line.account.currency().name(), line.account.name());
            let amount = match line.account.currency() {
                Currency::Credits => schemas::money::Nanocredits::new(line.amount).to_string(),
                Currency::Usd => schemas::money::Picodollars::new(line.amount).to_string(),
            };
            journal.push(format!("{position}|{name}|{unit}|{amount}"));
        }
        // As of this position, by position and by time.
        let time = world.sql(&format!("select public.recorded_at({position})"));
        let found = world.sql(&format!("select public.position_at('{time}')"));
        assert_eq!(found, position.to_string(), "each event of the story has a time of its own");
        let as_of = world.sql(&format!(
            "select distinct on (account_id) account_id, trim_scale(balance), trim_scale(held), trim_scale(available)
             from credit_history where position <= {found} order by account_id, position desc"
        ));
        let accounts: BTreeMap<_, _> = books.accounts.iter().collect();
        let should: Vec<_> = accounts
            .values()
            .map(|account| {
                let (balance, available) = (account.balance().unwrap(), account.available().unwrap());
                format!("{}|{balance}|{}|{available}", account.account_id, account.held)
            })
            .collect();
        assert_eq!(as_of, should.join("\n"), "as of {position}");
    }
    let view = world.sql(
        "select position, ledger_account, currency, trim_scale(debit - credit) from journal order by position, line",
    );
    assert_eq!(view, journal.join("\n"));
    assert!(
        ["revenue", "platform_loss", "adjustments", "cash", "cost_of_sales"].iter().all(|name| view.contains(name))
    );
    let unbalanced = "select position from journal group by position, currency having sum(debit) <> sum(credit)";
    assert_eq!(world.sql(unbalanced), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_has_no_position_as_long_as_events_may_come_that_were_recorded_by_then() {
    let world = World::new();
    world.append(&a_story().events).await;
    let head = world.sql("select position from ledger.head");
    assert_eq!(world.sql("select public.position_at('2020-01-01')"), "0");
    assert_eq!(world.sql("select public.position_at(now() - interval '2 seconds')"), head);
    assert_eq!(
        world.sql("select public.position_at(now()) is null, public.position_at(now() + interval '1 day') is null"),
        "t|t"
    );

    // An append that began and has not ended: what it will commit counts as recorded when it began.
    let mut appending = world.connect_named("ledger-append").await;
    sqlx::query("begin").execute(&mut appending).await.unwrap();
    let began = world.sql("select xact_start from pg_stat_activity where application_name = 'ledger-append'");
    let positions = format!(
        "select public.position_at('{began}'::timestamptz - interval '1 microsecond'), public.position_at('{began}') is null"
    );
    // Until that is more than a second ago.
    crate::kit::until(|| world.sql(&positions) == format!("{head}|t")).await;
    assert_eq!(world.sql(&format!("select now() > '{began}'::timestamptz + interval '1 second'")), "t");
    sqlx::query("rollback").execute(&mut appending).await.unwrap();
    assert_eq!(world.sql(&format!("select public.position_at('{began}')")), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_older_than_the_journal_says_from_where_on_it_has_one() {
    let world = World::new();
    let events = applied(&a_story().events);
    let (before, after) = events.split_at(8);
    world.append(before).await;
    world.project(100).await;
    assert_eq!(world.sql("select history_from from projection"), "1");
    // As the migration leaves a version that a projector without a journal has written.
    world.sql("truncate read_models.journal; update projector.projection set history_from = null");
    world.append(after).await;
    world.project(100).await;
    assert_eq!(world.sql("select history_from from projection"), "9");
    assert_eq!(world.sql("select min(position) from credit_history"), "9");
    projector::rebuild::rebuild(&world.options(), &Default::default(), |_| {}).await.unwrap();
    assert_eq!(world.sql("select history_from from projection"), "1");
    assert_eq!(world.sql("select min(position) from credit_history"), "2");
}

/// Those that the ledger's fold takes.
fn applied(events: &[Event]) -> Vec<Event> {
    let mut books = Books::default();
    let mut log = Vec::new();
    for event in events {
        if let Ok(Applied::New { .. }) = books.apply(log.len() as u64 + 1, event) {
            log.push(event.clone());
        }
    }
    log
}
