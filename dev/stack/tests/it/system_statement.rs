//! The bill, the replay, the double entry and `as_of` say the same as the tables, and as each other.

use serde_json::{Value, json};
use stack::local::Account;

use super::system_kit::{HAIKU, World, blocking, chat, streamed, worked_example};

#[tokio::test(flavor = "multi_thread")]
async fn bill_replay_double_entry_and_history_say_the_same_as_the_tables() {
    let world = World::start();
    let account = world.account("team", "100");
    let other = world.account("team", "7");
    let id = account.account_id.as_str();
    let mut looks = vec![credits(&world, &account).await];

    for body in [
        worked_example(""),
        streamed(worked_example("")),
        chat(HAIKU, 100, "prompt_tokens=9 completion_tokens=99 cached_tokens=4 reasoning_tokens=7"),
        worked_example("status=500"),
        streamed(worked_example("cut_after=3")),
    ] {
        world.ask(&account.key, &body).await;
        looks.push(credits(&world, &account).await);
    }
    // While one runs, its most is held: also in the history, ever after.
    let mut left = world.open(&account.key, &streamed(worked_example("chunk_ms=200"))).await;
    left.next_contents(1).await;
    let held = async || Some(credits(&world, &account).await).filter(|look| look["held"] != "0");
    looks.push(world.until("the hold is told", held).await);
    drop(left);
    world.ask(&account.sandbox_key, &worked_example("")).await;
    world.ask(&other.key, &worked_example("")).await;
    world.ledger(&["credits", "add", "--account", id, "--credits", "12.5", "--reference", "payment-4711"]);
    looks.push(credits(&world, &account).await);
    let slip = ["--credits", "-1.5", "--reference", "slip", "--why", "a slip"];
    world.ledger(&[&["credits", "adjust", "--account", id][..], &slip].concat());
    world.quiet().await;
    looks.push(credits(&world, &account).await);

    as_of_is_what_was_told_then(&world, &account, &looks).await;
    as_of_is_refused_by_name(&world, &account, &other).await;
    the_bill_is_what_the_tables_say(&world, &account).await;
    debits_equal_credits(&world).await;
    world.close().await;
}

/// `GET /v1/credits` once everything that is appended is known there.
async fn credits(world: &World, account: &Account) -> Value {
    world.projected().await;
    let answer = world.client().get("/v1/credits", Some(&account.key)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

async fn as_of_is_what_was_told_then(world: &World, account: &Account, looks: &[Value]) {
    let as_of = async |place: &str| {
        let answer = world.client().get(&format!("/v1/credits?as_of={place}"), Some(&account.key)).await;
        assert_eq!(answer.status, 200, "{place}: {}", answer.text());
        answer.json()
    };
    for look in looks {
        let position = look["position"].to_string();
        assert_eq!(as_of(&position).await, *look);
        let replayed = world.ledger(&["replay", "--account", &account.account_id, "--balances", "--until", &position]);
        let [line] = &replayed["accounts"].as_array().expect("accounts")[..] else { panic!("{replayed}") };
        for amount in ["balance", "held", "available"] {
            assert_eq!(line[amount], look[amount], "{amount} as of {position}: {replayed}");
        }
        // By time: all that was appended with it counts.
        let time = look["as_of"].as_str().expect("a time");
        // The last second's events may not all be there.
        let by_time = world
            .until("the time is over", async || {
                let answer = world.client().get(&format!("/v1/credits?as_of={time}"), Some(&account.key)).await;
                if answer.status == 503 {
                    assert_eq!(
                        (answer.code().as_str(), answer.header("retry-after")),
                        ("not_yet_available", Some("1"))
                    );
                    return None;
                }
                Some(answer.json())
            })
            .await;
        assert_eq!(by_time["as_of"], look["as_of"]);
        assert_eq!(as_of(&by_time["position"].to_string()).await, by_time);
        let offset = time.replace('Z', "+00:00");
        assert_eq!(as_of(&offset).await, by_time, "a + that was not escaped");
        let replayed = world.ledger(&["replay", "--balances", "--until", time]);
        assert_eq!(replayed["position"], by_time["position"]);
        let accounts = replayed["accounts"].as_array().expect("accounts");
        let line = accounts.iter().find(|line| line["account_id"] == *account.account_id).expect("the account");
        assert_eq!((&line["balance"], &line["held"]), (&by_time["balance"], &by_time["held"]));
    }
}

async fn as_of_is_refused_by_name(world: &World, account: &Account, other: &Account) {
    let (first, later) = (opened_at(world, account).await, opened_at(world, other).await);
    for (key, place, status, code) in [
        (&account.key, "yesterday".to_owned(), 400, "invalid_value"),
        (&account.key, "2026-11-30".to_owned(), 400, "invalid_value"),
        (&account.key, "0".to_owned(), 400, "invalid_value"),
        (&account.key, "1&as_of=2".to_owned(), 400, "invalid_value"),
        (&account.key, "99999999999999999999".to_owned(), 400, "invalid_value"),
        (&account.key, "9999-01-01T00:00:00Z".to_owned(), 400, "invalid_value"),
        (&account.key, (first - 1).to_string(), 404, "account_not_found"),
        (&account.key, "2020-01-01T00:00:00Z".to_owned(), 404, "account_not_found"),
        // Only one's own: what another account had then is nowhere to be asked.
        (&other.key, (later - 1).to_string(), 404, "account_not_found"),
    ] {
        let answer = world.client().get(&format!("/v1/credits?as_of={place}"), Some(key)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{place}: {}", answer.text());
        if status == 400 {
            assert_eq!(answer.error()["param"], "as_of");
        }
    }
    let opened = world.client().get(&format!("/v1/credits?as_of={later}"), Some(&other.key)).await;
    assert_eq!((opened.status, &opened.json()["balance"]), (200, &"0".into()), "{}", opened.text());
}

async fn opened_at(world: &World, account: &Account) -> i64 {
    let sql = format!(
        "select position from ledger.events where event_type = 'AccountOpened' and account_id = '{}'",
        account.account_id
    );
    world.row(&sql).await["position"].as_i64().expect("a position")
}

async fn the_bill_is_what_the_tables_say(world: &World, account: &Account) {
    let id = account.account_id.as_str();
    world.ledger(&["checkpoint", "show"]);
    let month = world.row("select to_char(now() at time zone 'UTC', 'YYYY-MM') as month").await;
    let month = month["month"].as_str().expect("a month").to_owned();
    let statement = world.ledger(&["statement", "--account", id, "--month", &month]);
    let sums = world
        .row(&format!(
            "select trim_scale(b.balance)::text as closing, trim_scale(u.charged)::text as charges, u.requests, u.estimated,
                    trim_scale(t.top_ups)::text as top_ups, trim_scale(t.adjustments)::text as adjustments
             from credit_balances b,
                 (select sum(credits_used) as charged, count(*) filter (where ending = 'deducted') as requests,
                         count(*) filter (where usage_source = 'estimated') as estimated
                  from usage_logs where account_id = '{id}') u,
                 (select sum(amount) filter (where kind = 'top_up') as top_ups,
                         sum(amount) filter (where kind = 'adjustment') as adjustments
                  from credit_transactions where account_id = '{id}') t
             where b.account_id = '{id}'"
        ))
        .await;
    let totals = &statement["totals"];
    assert_eq!((&statement["opening_balance"], &statement["closing_balance"]), (&"0".into(), &sums["closing"]));
    for sum in ["top_ups", "charges", "adjustments", "requests", "estimated"] {
        assert_eq!(totals[sum], sums[sum], "{sum}: {statement:#}");
    }
    assert_eq!((&sums["top_ups"], &sums["adjustments"]), (&"112.5".into(), &"-1.5".into()));
    assert!(sums["estimated"].as_i64() > Some(0), "a client left: {sums}");
    let models = world
        .rows(&format!(
            "select model_id as model, price_version, count(*) as requests,
                    count(*) filter (where usage_source = 'estimated') as estimated,
                    json_build_object('input_tokens', sum(input_tokens), 'cached_tokens', sum(cached_tokens),
                        'cache_write_tokens', sum(cache_write_tokens), 'output_tokens', sum(output_tokens),
                        'reasoning_tokens', sum(reasoning_tokens), 'images', sum(images), 'searches', sum(searches)) as usage,
                    trim_scale(sum(credits_used))::text as amount
             from usage_logs where account_id = '{id}' and ending = 'deducted' group by 1, 2 order by 1, 2"
        ))
        .await;
    assert_eq!(statement["charges"], json!(models));
    let (proof, head) = (&statement["proof"], world.row("select position from ledger.head").await);
    assert_eq!((&proof["positions"]["from"], &proof["positions"]["until"]), (&1.into(), &head["position"]));
    assert!(proof["checkpoint"]["size"].as_u64() >= head["position"].as_u64(), "{proof}");

    let html = blocking(|| {
        let args = ["statement", "--account", id, "--month", &month, "--format", "html"];
        world.stack.ledger_cli(&args).expect("the statement is printed")
    });
    let closing = statement["closing_balance"].as_str().expect("a decimal");
    assert!(html.starts_with("<!doctype html>") && html.contains(&format!("<td>{closing}</td>")), "{html}");
}

async fn debits_equal_credits(world: &World) {
    let output = blocking(|| world.stack.cli_output("ledger", &["trial-balance", "--json"]).expect("it runs"));
    let trial: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((output.status.code(), &trial["balanced"]), (Some(0), &true.into()), "{trial:#}");
    // The journal of the read models says the same of each ledger account, live and sandbox.
    let accounts = trial["accounts"].as_array().expect("accounts");
    let with_turnover = accounts.iter().filter(|line| line["debit"] != "0" || line["credit"] != "0");
    let mut folded: Vec<Value> = with_turnover.cloned().collect();
    let key = |line: &Value| format!("{} {}", line["book"], line["ledger_account"]);
    folded.sort_by_key(key);
    let mut journal = world
        .rows(
            "select case when livemode then 'live' else 'sandbox' end as book, ledger_account, currency,
                    trim_scale(sum(debit))::text as debit, trim_scale(sum(credit))::text as credit,
                    trim_scale(sum(debit - credit))::text as balance
             from journal group by 1, 2, 3",
        )
        .await;
    journal.sort_by_key(key);
    assert_eq!(journal, folded);
    let names: Vec<_> = folded.iter().map(|line| line["ledger_account"].as_str().unwrap_or_default()).collect();
    assert!(["cash", "adjustments", "revenue", "cost_of_sales"].iter().all(|name| names.contains(name)), "{names:?}");
    let usage = world
        .rows(
            "select case when livemode then 'live' else 'sandbox' end as book,
                    trim_scale(sum(credits_used))::text as revenue, trim_scale(sum(cost_usd))::text as cost
             from usage_logs group by 1",
        )
        .await;
    for row in usage {
        let of =
            |name: &str| accounts.iter().find(|line| line["book"] == row["book"] && line["ledger_account"] == name);
        assert_eq!(of("revenue").map(|line| &line["credit"]), Some(&row["revenue"]), "{trial:#}");
        assert_eq!(of("cost_of_sales").map(|line| &line["debit"]), Some(&row["cost"]), "{trial:#}");
    }
}
