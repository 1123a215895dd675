use futures_util::StreamExt;
use schemas::api_key::Secret;
use schemas::message::{
    AccountOpenedReply, AccountRef, AccountReply, AccountsReply, AdjustCredits, CreditsReply, IssueKey, KeyIssuedReply,
    KeyRecord, KeyRef, KeyRevokedReply, KeysReply, ListAccounts, ListKeys, LookUpKey, OpenAccount, PriceBookReply,
    PublishPriceBook, RevocationSeen, RevokeKey, SetMargins, SetTier, TierReply, command_name,
};
use schemas::money::Nanocredits;
use schemas::price_book::FIRST_CATALOGUE;
use schemas::tier::Tier;

use crate::kit::{Kit, Puppet};

#[tokio::test]
async fn credits_are_added_once_a_reference() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    assert!(kit.add(account, 50, "payment-7").await.unwrap().available == Nanocredits::from_credits(150).unwrap());
    let again = kit.add(account, 50, "payment-7").await.unwrap();
    assert!(again.repeated && again.available == Nanocredits::from_credits(150).unwrap());
    assert_eq!(kit.add(account, 51, "payment-7").await.unwrap_err(), "ReferenceReused");
    assert_eq!(kit.add(account, 0, "nothing").await.unwrap_err(), "BadAmount");
    let nobody = schemas::ids::AccountId(uuid::Uuid::now_v7());
    assert_eq!(kit.add(nobody, 1, "x").await.unwrap_err(), "UnknownAccount");
    kit.finish().await;
}

#[tokio::test]
async fn credits_are_taken_only_as_far_as_they_are_free() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let adjust = async |amount: &str, reference: &str| {
        let amount = amount.parse().unwrap();
        let (by, why) = ("test".to_owned(), "test".to_owned());
        let reference = reference.to_owned();
        let (loss, take_what_there_is, request_id) = (Nanocredits::ZERO, false, None);
        let ask =
            AdjustCredits { account_id: account, amount, loss, take_what_there_is, request_id, reference, by, why };
        kit.command::<_, CreditsReply>(command_name::ADJUST_CREDITS, &ask).await
    };
    assert_eq!(adjust("-100.000000001", "a").await.unwrap_err(), "InsufficientCredits");
    assert_eq!(adjust("0", "a").await.unwrap_err(), "BadAmount");
    assert_eq!(adjust("-99.5", "a").await.unwrap().balance.to_string(), "0.5");
    assert!(adjust("-99.5", "a").await.unwrap().repeated);
    kit.finish().await;
}

#[tokio::test]
async fn an_account_has_a_sandbox_and_is_opened_once_a_reference() {
    let kit = Kit::start().await;
    let ask = OpenAccount { tier: Tier::Pro, reference: Some("customer-1".into()), by: "t".into(), why: "t".into() };
    let first: AccountOpenedReply = kit.command(command_name::OPEN_ACCOUNT, &ask).await.unwrap();
    let again: AccountOpenedReply = kit.command(command_name::OPEN_ACCOUNT, &ask).await.unwrap();
    assert_eq!((first.account_id, first.sandbox_account_id), (again.account_id, again.sandbox_account_id));
    assert_eq!(kit.money(first.account_id).await, [0; 5]);
    assert_eq!(kit.money(first.sandbox_account_id).await, [1_000_000, 0, 0, 0, 0]);
    let ask = SetTier { account_id: first.account_id, tier: Tier::Team, by: "t".into(), why: "t".into() };
    let tier: TierReply = kit.command(command_name::SET_TIER, &ask).await.unwrap();
    assert_eq!(tier.tier, Tier::Team);
    kit.finish().await;
}

#[tokio::test]
async fn a_key_works_when_its_command_has_returned_and_a_revocation_waits_for_every_gateway() {
    let kit = Kit::start().await;
    let account = kit.open_account(1).await;
    let secret = Secret::from_random(true, &[3; 32]);
    let ask = IssueKey {
        account_id: account,
        key_hash: secret.hash(),
        key_prefix: secret.prefix().to_owned(),
        name: "test".into(),
        expires_at: None,
        restrictions: Default::default(),
        by: "test".into(),
        why: "test".into(),
    };
    let issued: KeyIssuedReply = kit.command(command_name::ISSUE_KEY, &ask).await.unwrap();
    assert_eq!(kit.command::<_, KeyIssuedReply>(command_name::ISSUE_KEY, &ask).await.unwrap_err(), "ReferenceReused");
    let look_up = LookUpKey { key_hash: secret.hash() };
    let found: KeyRecord = kit.command(command_name::LOOK_UP_KEY, &look_up).await.unwrap();
    assert!(found.api_key_id == issued.api_key_id && found.account_id == account && !found.revoked);
    assert!(found.position >= issued.position);
    // A gateway that does not answer is waited for.
    let gateway = Puppet::register(&kit).await;
    let mut revocations = kit.client.subscribe(kit.cell.revoked()).await.unwrap();
    let ask = RevokeKey { key: KeyRef::Id(issued.api_key_id), by: "test".into(), why: "test".into() };
    let revoke = kit.command::<_, KeyRevokedReply>(command_name::REVOKE_KEY, &ask);
    let answer = async {
        let first = revocations.next().await.unwrap();
        let second = revocations.next().await.unwrap();
        assert_eq!(first.payload, second.payload);
        let seen = serde_json::to_vec(&RevocationSeen { lives: vec![gateway.emitter] }).unwrap();
        kit.client.publish(second.reply.unwrap(), seen.into()).await.unwrap();
    };
    let (revoked, ()) = tokio::join!(revoke, answer);
    assert_eq!(revoked.unwrap().api_key_id, issued.api_key_id);
    let found: KeyRecord = kit.command(command_name::LOOK_UP_KEY, &look_up).await.unwrap();
    assert!(found.revoked);
    kit.finish().await;
}

#[tokio::test]
async fn prices_get_the_next_version_and_nonsense_is_refused() {
    let kit = Kit::start().await;
    let first: PriceBookReply = kit.command(command_name::PRICE_BOOK, &()).await.unwrap();
    assert_eq!((first.book.version, first.book.models.len()), (1, 54));
    let ask = |catalogue: &str| PublishPriceBook {
        catalogue: catalogue.to_owned(),
        default_margin_bps: 5_000,
        by: "test".into(),
        why: "test".into(),
    };
    let refused = kit.command::<_, PriceBookReply>(command_name::PUBLISH_PRICE_BOOK, &ask("{}")).await;
    assert_eq!(refused.unwrap_err(), "BadPriceBook");
    let second: PriceBookReply = kit.command(command_name::PUBLISH_PRICE_BOOK, &ask(FIRST_CATALOGUE)).await.unwrap();
    assert_eq!((second.book.version, second.book.default_margin_bps), (2, 5_000));
    assert_eq!(kit.command::<_, PriceBookReply>("no-such-command", &()).await.unwrap_err(), "UnknownCommand");
    assert_eq!(kit.command::<_, PriceBookReply>(command_name::ADD_CREDITS, &()).await.unwrap_err(), "Malformed");
    kit.finish().await;
}

#[tokio::test]
async fn a_lease_is_granted_in_totals_so_that_a_lost_reply_loses_nothing() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let gateway = Puppet::register(&kit).await;
    let granted = gateway.lease(&kit, account, 0, 40).await.unwrap();
    assert_eq!(granted.granted_total.to_string(), "40");
    // As if that reply had been lost.
    let again = gateway.lease(&kit, account, 0, 40).await.unwrap();
    assert_eq!((again.granted_total.to_string(), again.unleased.to_string()), ("40".into(), "60".into()));
    let short = gateway.lease(&kit, account, 40, 61).await.unwrap();
    assert_eq!(short.granted_total.to_string(), "40");
    assert_eq!(short.available.to_string(), "100");
    let mut stranger = Puppet::register(&kit).await;
    stranger.emitter = schemas::ids::EmitterId(uuid::Uuid::now_v7());
    assert_eq!(stranger.lease(&kit, account, 0, 1).await.unwrap_err(), "NotRegistered");
    kit.finish().await;
}

#[tokio::test]
async fn accounts_and_keys_are_looked_through_page_by_page() {
    let kit = Kit::start().await;
    let mut accounts = Vec::new();
    for _ in 0..2 {
        accounts.push(kit.open_account(5).await);
    }
    let mut seen: Vec<AccountReply> = Vec::new();
    loop {
        let ask = ListAccounts { after: seen.last().map(|account| account.account_id), limit: 3 };
        let page: AccountsReply = kit.command(command_name::LIST_ACCOUNTS, &ask).await.unwrap();
        assert!(page.accounts.len() == 3 || !page.more);
        seen.extend(page.accounts);
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.len(), 4, "each with its sandbox");
    assert!(seen.is_sorted_by_key(|account| account.account_id));
    for account_id in accounts {
        let ask = AccountRef { account_id };
        let shown: AccountReply = kit.command(command_name::ACCOUNT, &ask).await.unwrap();
        let listed = seen.iter().find(|account| account.account_id == account_id).unwrap();
        assert_eq!((listed.tier, listed.counterpart, listed.livemode), (shown.tier, shown.counterpart, shown.livemode));
        assert_eq!(listed.credits.available, shown.credits.available);
    }

    let account_id = seen.iter().find(|account| account.livemode).unwrap().account_id;
    for byte in 0..3 {
        let secret = Secret::from_random(true, &[byte; 32]);
        let ask = IssueKey {
            account_id,
            key_hash: secret.hash(),
            key_prefix: secret.prefix().to_owned(),
            name: format!("key {byte}"),
            expires_at: None,
            restrictions: Default::default(),
            by: "t".into(),
            why: "t".into(),
        };
        let _: KeyIssuedReply = kit.command(command_name::ISSUE_KEY, &ask).await.unwrap();
    }
    let first: KeysReply =
        kit.command(command_name::LIST_KEYS, &ListKeys { account_id, after: None, limit: 2 }).await.unwrap();
    let after = first.keys.last().map(|key| key.api_key_id);
    let second: KeysReply =
        kit.command(command_name::LIST_KEYS, &ListKeys { account_id, after, limit: 2 }).await.unwrap();
    assert!(first.more && !second.more);
    let names: Vec<_> = first.keys.iter().chain(&second.keys).map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["key 0", "key 1", "key 2"]);
    let nobody = ListKeys { account_id: schemas::ids::AccountId(uuid::Uuid::now_v7()), after: None, limit: 2 };
    assert_eq!(kit.command::<_, KeysReply>(command_name::LIST_KEYS, &nobody).await.unwrap_err(), "UnknownAccount");
    kit.finish().await;
}

#[tokio::test]
async fn margins_are_a_new_version_of_the_prices_in_force() {
    const MODEL: &str = "anthropic/claude-haiku-4.5";
    let kit = Kit::start().await;
    let before: PriceBookReply = kit.command(command_name::PRICE_BOOK, &()).await.unwrap();
    let ask = |default_margin_bps, model: &str, margin, based_on| SetMargins {
        default_margin_bps,
        models: [(model.to_owned(), margin)].into(),
        based_on,
        by: "t".into(),
        why: "t".into(),
    };
    let set = async |ask| kit.command::<_, PriceBookReply>(command_name::SET_MARGINS, &ask).await;
    let version = before.book.version;
    let after = set(ask(Some(5_000), MODEL, Some(1_000), Some(version))).await.unwrap();
    assert_eq!((after.book.version, after.book.default_margin_bps), (version + 1, 5_000));
    assert_eq!(after.book.margin_bps(&after.book.models[MODEL]), 1_000);
    let others = after.book.models.values().filter(|model| model.id != MODEL);
    assert!(others.clone().count() > 50 && others.clone().all(|model| after.book.margin_bps(model) == 5_000));
    assert!(others.clone().all(|model| model == &before.book.models[&model.id]), "prices stay what they were");

    assert_eq!(set(ask(None, MODEL, None, Some(version))).await.unwrap_err(), "ReferenceReused");
    assert_eq!(set(ask(None, "no/model", None, None)).await.unwrap_err(), "UnknownModel");
    assert_eq!(set(ask(None, MODEL, Some(100_001), None)).await.unwrap_err(), "BadAmount");
    let last = set(ask(None, MODEL, None, None)).await.unwrap();
    assert_eq!((last.book.version, last.book.margin_bps(&last.book.models[MODEL])), (version + 2, 5_000));
    let shown: PriceBookReply = kit.command(command_name::PRICE_BOOK, &()).await.unwrap();
    assert_eq!(shown.book, last.book);
    kit.finish().await;
}
