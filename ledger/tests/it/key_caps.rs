use schemas::api_key::Secret;
use schemas::event::{CreditsDeducted, RequestAuthorized, UsageRecorded};
use schemas::ids::{AccountId, ApiKeyId, RequestId};
use schemas::key_limits::{Cap, Period, Restrictions};
use schemas::message::{IssueKey, KeyIssuedReply, KeyReserved, KeysReply, ListKeys, ReserveKey, command_name};
use schemas::money::Nanocredits;
use uuid::Uuid;

use crate::kit::{Kit, Puppet, authorized, used};

fn credits(credits: i64) -> Nanocredits {
    Nanocredits::from_credits(credits).unwrap()
}

fn request() -> RequestId {
    RequestId(Uuid::now_v7())
}

async fn issue(kit: &Kit, account_id: AccountId, byte: u8, restrictions: Restrictions) -> Result<ApiKeyId, String> {
    let secret = Secret::from_random(true, &[byte; 32]);
    let ask = IssueKey {
        account_id,
        key_hash: secret.hash(),
        key_prefix: secret.prefix().to_owned(),
        name: "capped".into(),
        expires_at: None,
        restrictions,
        by: "t".into(),
        why: "t".into(),
    };
    let issued: KeyIssuedReply = kit.command(command_name::ISSUE_KEY, &ask).await?;
    Ok(issued.api_key_id)
}

/// A gateway that asks for one key.
struct Asker {
    puppet: Puppet,
    api_key_id: ApiKeyId,
    seq: u64,
}

impl Asker {
    async fn register(kit: &Kit, api_key_id: ApiKeyId) -> Self {
        Self { puppet: Puppet::register(kit).await, api_key_id, seq: 0 }
    }

    fn question(&mut self, wanted: &[(RequestId, i64)], dropped: &[RequestId]) -> ReserveKey {
        self.seq += 1;
        ReserveKey {
            gateway: self.puppet.emitter,
            api_key_id: self.api_key_id,
            seq: self.seq,
            wanted: wanted.iter().map(|(request, amount)| (*request, credits(*amount))).collect(),
            dropped: dropped.to_vec(),
        }
    }

    async fn reserve(&mut self, kit: &Kit, wanted: &[(RequestId, i64)], dropped: &[RequestId]) -> KeyReserved {
        kit.command(command_name::RESERVE_KEY, &self.question(wanted, dropped)).await.unwrap()
    }

    async fn authorize(&mut self, account: AccountId, request: RequestId, hold: i64) {
        let data = RequestAuthorized { api_key_id: Some(self.api_key_id), ..authorized(credits(hold)) };
        let event = self.puppet.event(account, Some(request), &data);
        self.puppet.publish_through(0, &event).await.unwrap();
    }

    async fn settle(&mut self, account: AccountId, request: RequestId, tokens: u64) {
        let usage = UsageRecorded { api_key_id: Some(self.api_key_id), ..used(tokens) };
        let deduction = CreditsDeducted { amount: usage.charge };
        let usage = self.puppet.event(account, Some(request), &usage);
        self.puppet.publish(&usage).await;
        let deduction = self.puppet.event(account, Some(request), &deduction);
        self.puppet.publish(&deduction).await;
    }
}

const SPENT: &str = "select coalesce(sum(charged), 0)::bigint from ledger.key_spending";
const PROMISED: &str = "select coalesce(sum(amount), 0)::bigint from ledger.key_reservations";

#[tokio::test]
async fn what_is_promised_held_and_spent_is_never_more_than_the_cap() {
    let mut kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let cap = Some(Cap { credits: credits(10), period: Period::Total });
    let key = issue(&kit, account, 1, Restrictions { models: None, cap }).await.unwrap();
    let mut here = Asker::register(&kit, key).await;
    let mut there = Asker::register(&kit, key).await;

    let (first, second, third, fourth) = (request(), request(), request(), request());
    let reply = here.reserve(&kit, &[(first, 6)], &[]).await;
    assert_eq!((reply.granted.as_slice(), reply.left(), reply.until), (&[first][..], credits(4), None));
    // Whole or not at all, and whoever comes first.
    let reply = there.reserve(&kit, &[(second, 5), (third, 4)], &[]).await;
    assert_eq!((reply.granted.as_slice(), reply.held, reply.left()), (&[third][..], credits(10), credits(0)));
    // What is given back can be promised again in the same breath; a question that comes late is not answered.
    let late = here.question(&[], &[]);
    let reply = here.reserve(&kit, &[(fourth, 6)], &[first, third]).await;
    assert_eq!(
        (reply.granted.as_slice(), reply.held),
        (&[fourth][..], credits(10)),
        "another's promise is not given back"
    );
    let late: Result<KeyReserved, String> = kit.command(command_name::RESERVE_KEY, &late).await;
    assert_eq!(late.unwrap_err(), "Unavailable");
    // The same again is granted again, once.
    let reply = here.reserve(&kit, &[(fourth, 6)], &[]).await;
    assert_eq!((reply.granted.len(), reply.held), (1, credits(10)));

    // A promise outlives the ledger that made it.
    kit.kill_ledgers().await;
    kit.start_ledger();
    kit.until_serving().await;
    assert!(here.reserve(&kit, &[(request(), 1)], &[]).await.granted.is_empty());

    // Authorized, it is held and no longer promised; settled, the rest of the hold is free again.
    here.puppet.lease(&kit, account, 0, 20).await.unwrap();
    here.authorize(account, fourth, 6).await;
    kit.until_number(PROMISED, credits(4).get()).await;
    let reply = here.reserve(&kit, &[(fourth, 6)], &[]).await;
    assert_eq!((reply.granted.as_slice(), reply.held), (&[fourth][..], credits(10)), "counted once");
    here.settle(account, fourth, 1_000).await;
    kit.until_number(SPENT, 2_400_000_000).await;
    let reply = here.reserve(&kit, &[(request(), 4)], &[]).await;
    assert_eq!((reply.granted.len(), reply.left().to_string().as_str()), (0, "3.6"));

    // Who is gone holds no promise.
    there.puppet.beat(true).await;
    kit.until_number(PROMISED, 0).await;
    assert_eq!(here.reserve(&kit, &[], &[]).await.left().to_string(), "7.6");
    let gone: Result<KeyReserved, String> =
        kit.command(command_name::RESERVE_KEY, &there.question(&[(request(), 1)], &[])).await;
    assert_eq!(gone.unwrap_err(), "NotRegistered");
    kit.finish().await;
}

#[tokio::test]
async fn usage_that_comes_late_is_not_charged_below_a_cap() {
    let kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let cap = Some(Cap { credits: credits(10), period: Period::Day });
    let key = issue(&kit, account, 1, Restrictions { models: None, cap }).await.unwrap();
    let mut here = Asker::register(&kit, key).await;
    here.puppet.lease(&kit, account, 0, 40).await.unwrap();
    let (late, other) = (request(), request());
    here.authorize(account, late, 8).await;
    let release = here.puppet.release(account, late, None);
    here.puppet.publish(&release).await;
    here.authorize(account, other, 8).await;
    here.settle(account, other, 3_000).await;
    kit.until_number(SPENT, 7_200_000_000).await;
    // Its room may be promised to others by now: the platform bears it.
    let usage = UsageRecorded { api_key_id: Some(key), ..used(2_000) };
    let usage = here.puppet.event(account, Some(late), &usage);
    here.puppet.publish(&usage).await;
    kit.until_number("select sum(lost)::bigint from ledger.accounts", 4_800_000_000).await;
    assert_eq!(kit.number(SPENT).await, 7_200_000_000);
    kit.finish().await;
}

#[tokio::test]
async fn a_keys_restrictions_are_checked_when_it_is_issued_and_shown_in_lists() {
    let kit = Kit::start().await;
    let account = kit.open_account(1).await;
    let models = |models: &[&str]| Restrictions {
        models: Some(models.iter().map(|model| (*model).to_owned()).collect()),
        cap: None,
    };
    for (restrictions, refusal) in [
        (models(&["anthropic/claude-hiaku"]), "UnknownModel"),
        (models(&["anthropic/*", "nobody/*"]), "UnknownModel"),
        (models(&[]), "Malformed"),
        (Restrictions { models: None, cap: Some(Cap { credits: credits(0), period: Period::Day }) }, "BadAmount"),
    ] {
        assert_eq!(issue(&kit, account, 1, restrictions).await.unwrap_err(), refusal);
    }
    let restrictions = Restrictions {
        cap: Some(Cap { credits: credits(3), period: Period::Month }),
        ..models(&["anthropic/claude-haiku-4.5", "openai/*"])
    };
    issue(&kit, account, 2, restrictions.clone()).await.unwrap();
    let ask = ListKeys { account_id: account, after: None, limit: 10 };
    let listed: KeysReply = kit.command(command_name::LIST_KEYS, &ask).await.unwrap();
    assert_eq!(listed.keys.iter().map(|key| &key.restrictions).collect::<Vec<_>>(), [&restrictions]);
    kit.finish().await;
}
