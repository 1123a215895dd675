//! What analysts find.

use schemas::event::{Payload, ReleaseReason, UsageError, UsageErrorCode, UsageStatus};
use schemas::rate::Usage;
use schemas::tier::Tier;

use crate::kit::{SONNET, Story, World, credits};

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_request_is_a_row_of_usage_and_a_lower_balance() {
    let world = World::new();
    let mut story = Story::at("2026-03-31T23:59:59.999Z");
    let account = story.opens(Tier::Team);
    story.buys(account, credits(100));
    let key = story.issues_key(account);
    let request = story.pays(account, Some(key.0));
    world.append(&story.events).await;
    world.project(2_000).await;

    let balance = world.sql(
        "select trim_scale(balance), held, trim_scale(available), trim_scale(bought), trim_scale(charged), tier, livemode, position
         from credit_balances",
    );
    assert_eq!(balance, "96.64|0.000000000|96.64|100|3.36|team|t|7");
    let usage = world.sql(&format!(
        "select model_id, served_model_id, provider, request_type, input_tokens, output_tokens, trim_scale(cost_usd),
                trim_scale(credits_used), trim_scale(hold_credits), latency_ms, ttft_ms, streamed, status, error_message is null,
                usage_source, price_version, provider_request_id, upstream, livemode, position, ending
         from usage_logs where request_id = '{request}' and account_id = '{account}'"
    ));
    assert_eq!(
        usage,
        format!(
            "{SONNET}|claude-sonnet-4-5-20250929|anthropic|chat|2000|1000|0.021|3.36|5|1200|300|t|success|t|provider|1|gen_1|live|t|7|deducted"
        )
    );
    assert_eq!(world.sql("select created_at at time zone 'UTC' from usage_logs"), "2026-04-01 00:00:00.003");
    let key_row = world.sql("select id, key_hash, is_active, last_used_at at time zone 'UTC' from api_keys");
    assert_eq!(key_row, format!("{}|{}|t|2026-04-01 00:00:00.004", key.0, key.1));
    let daily = world.sql(
        "select day, model_id, provider, requests, failed, input_tokens, trim_scale(credits_used) from usage_daily",
    );
    assert_eq!(daily, format!("2026-04-01|{SONNET}|anthropic|1|0|2000|3.36"));
    let transaction = world.sql("select kind, trim_scale(amount), made_by, reason, position from credit_transactions");
    assert_eq!(transaction, "top_up|100|test|paid|3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_request_holds_and_is_no_row_yet_and_its_end_may_come_much_later() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(10));
    let request = story.request();
    story.authorizes(account, request, None, credits(4));
    world.append(&story.events).await;
    world.project(1).await;
    let balances = "select trim_scale(balance), trim_scale(held), trim_scale(available) from credit_balances";
    assert_eq!(world.sql(balances), "10|4|6");
    assert_eq!(world.sql("select count(*) from usage_logs"), "0");

    let before = story.events.len();
    // More than its hold: the excess is not the customer's.
    story.uses(account, request, 2_000, 5_000);
    story.deducts(account, request, credits(4));
    world.append(&story.events[before..]).await;
    world.project(1).await;
    assert_eq!(world.sql(balances), "6|0|6");
    assert_eq!(world.sql("select status, trim_scale(credits_used) from usage_logs"), "success|4");
    assert_eq!(world.sql("select trim_scale(lost) from read_models.credit_balances"), "8.96");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_were_not_paid_are_rows_without_credits() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(10));
    let [failed, gone, expired, refused] = [story.request(), story.request(), story.request(), story.request()];
    for request in [failed, gone, expired] {
        story.authorizes(account, request, None, credits(1));
    }
    story.releases(account, failed, ReleaseReason::ProviderFailed);
    story.releases(account, gone, ReleaseReason::ClientGone);
    story.expires(account, expired);
    // Its authorization never came.
    story.releases(account, refused, ReleaseReason::Refused);
    world.append(&story.events).await;
    world.project(3).await;
    let row = |request| {
        world.sql(&format!(
            "select status, trim_scale(credits_used), trim_scale(hold_credits), model_id, ending from usage_logs where request_id = '{request}'"
        ))
    };
    assert_eq!(row(failed), format!("error|0|1|{SONNET}|released"));
    assert_eq!(row(gone), format!("cancelled|0|1|{SONNET}|released"));
    assert_eq!(row(expired), format!("error|0|1|{SONNET}|expired"));
    assert_eq!(row(refused), format!("error|0||{SONNET}|released"));
    assert_eq!(world.sql("select requests, failed, cancelled from usage_daily"), "4|3|1");
    assert_eq!(world.sql("select held from credit_balances"), "0.000000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn late_events_of_an_ended_request_tell_what_they_know_and_move_nothing() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(10));
    let request = story.request();
    story.authorizes(account, request, None, credits(5));
    story.expires(account, request);
    story.uses(account, request, 2_000, 1_000);
    story.deducts(account, request, credits(3));
    story.adjusts(account, Some(request), credits(-3), credits(0));
    let paid = story.pays(account, None);
    story.releases(account, paid, ReleaseReason::Undecided);
    story.uses(account, paid, 9_000, 9_000);
    world.append(&story.events).await;
    world.project(1).await;
    let row = |request| {
        world.sql(&format!(
            "select status, trim_scale(credits_used), input_tokens, ending from usage_logs where request_id = '{request}'"
        ))
    };
    assert_eq!(row(request), "success|0|2000|expired");
    assert_eq!(row(paid), "success|3.36|2000|deducted");
    assert_eq!(world.sql("select trim_scale(balance), held from credit_balances"), "3.64|0.000000000");
    assert_eq!(world.sql("select requests, failed, input_tokens from usage_daily"), "2|0|4000");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorization_after_its_gateways_fence_holds_nothing() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(10));
    let gateway = story.gateway;
    story.fences(gateway);
    let request = story.request();
    story.authorizes(account, request, None, credits(5));
    world.append(&story.events).await;
    world.project(1).await;
    assert_eq!(world.sql("select held from credit_balances"), "0.000000000");
    let before = story.events.len();
    story.expires(account, request);
    world.append(&story.events[before..]).await;
    world.project(1).await;
    assert_eq!(world.sql("select held, status from credit_balances, usage_logs"), "0.000000000|error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_inactive_and_a_tier_is_the_last_one() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    let key = story.issues_key(account);
    story.revokes_key(account, key);
    story.sets_tier(account, Tier::Team);
    world.append(&story.events).await;
    world.project(2_000).await;
    assert_eq!(world.sql("select is_active, last_used_at is null, tier from api_keys, credit_balances"), "f|t|team");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_words_may_hold_any_character() {
    let world = World::new();
    let mut story = Story::new();
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(10));
    let request = story.request();
    story.authorizes(account, request, None, credits(5));
    let mut usage = story.usage(Usage { input_tokens: 1, ..Usage::default() }, UsageStatus::Error);
    let message = "a\0b \u{1f4a5} '; drop table".to_owned();
    usage.error = Some(UsageError { code: UsageErrorCode::CutStream, message });
    story.gateway_says(account, request, Payload::UsageRecorded(usage.into()));
    story.deducts(account, request, credits(0));
    world.append(&story.events).await;
    world.project(2_000).await;
    let error = world.sql("select error_message, error_code from usage_logs");
    assert_eq!(error, "a\u{fffd}b \u{1f4a5} '; drop table|cut_stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_lie_in_the_partition_of_their_month() {
    let world = World::new();
    let mut story = Story::new();
    // The migration made this month and the next ones; the story is told there.
    let now: String = world.sql("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");
    let mut recent = Story::at(&now);
    let account = recent.opens(Tier::Pro);
    recent.buys(account, credits(10));
    recent.pays(account, None);
    world.append(&recent.events).await;
    world.project(2_000).await;
    let month = world.sql("select to_char(now() at time zone 'UTC', 'YYYY_MM')");
    assert_eq!(
        world.sql("select distinct tableoid::regclass::text from read_models.requests"),
        format!("read_models.requests_1_{month}")
    );
    // Further back there is none: nothing is lost all the same.
    let account = story.opens(Tier::Pro);
    story.buys(account, credits(10));
    story.pays(account, None);
    world.append(&story.events[1..]).await;
    world.project(2_000).await;
    assert_eq!(world.sql("select count(*) from usage_logs"), "2");
}
