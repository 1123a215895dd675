//! Pictures of the console for the README: `make screenshots`. A month of made-up usage is put into the read models for them, and
//! taken out again before the books are closed.

use std::path::PathBuf;

use stack::place::{self, RunDir};

use super::system_kit::{HAIKU, World, blocking, chat, seen_by_browser, streamed, worked_example};

/// Small enough for a repository.
const LARGEST: u64 = 150_000;

/// Some requests on each of the last thirty days, in the tables that the console reads. The same pictures come of it on any day of a
/// week: hours and amounts are made of a row's number.
const MONTH: &str = r"
create table made_up as
select n, (select version from projector.projection where live) as version,
    date_trunc('day', now()) - make_interval(days => day) + make_interval(secs => (n * 7919) % 70000 + 3600) as created_at,
    (array['anthropic/claude-sonnet-4.5', 'openai/gpt-4o', 'anthropic/claude-haiku-4.5', 'google/gemini-2.5-flash', 'openai/gpt-4o-mini',
        'mistral/mistral-medium'])[1 + n * 7 % 17 % 6] as model_id,
    keys[1 + n % 7 % 3] as api_key_id,
    (600 + n * 7907 % 5200)::bigint as input_tokens, (120 + n * 6151 % 1400)::bigint as output_tokens,
    (array['success', 'success', 'success', 'success', 'success', 'success', 'success', 'error', 'success', 'success', 'cancelled',
        'success', 'success'])[1 + n % 13] as status
from generate_series(1, 29) day
cross join lateral generate_series(day * 1000, day * 1000 + (14 + (day * day * 31) % 23 + (29 - day) / 2)
    / case extract(isodow from now() - make_interval(days => day)) when 6 then 3 when 7 then 4 else 1 end) n
cross join (select array_agg(id order by id) as keys from api_keys where account_id = '{account}') k;
alter table made_up add column request_id uuid;
update made_up set request_id = encode(substring(int8send((extract(epoch from created_at) * 1000)::bigint) from 3)
    || decode('7', 'escape') || substring(decode(md5(n::text), 'hex') from 1 for 9), 'hex')::uuid;
alter table made_up add column credits numeric(20, 9);
update made_up set credits = case status when 'error' then 0 else
    round((input_tokens * 3 + output_tokens * 15) * 0.00016 * (array[1, 0.8, 0.3, 0.1, 0.06, 0.3])[1 + n * 7 % 17 % 6], 9) end;
insert into read_models.requests (version, request_id, created_at, account_id, livemode, ended, ending, api_key_id, model_id, provider,
    request_type, streamed, input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, images, searches, cost_usd,
    hold_credits, charged_credits, status, error_code, error_message, latency_ms, position)
select version, request_id, created_at, '{account}', true, true, 'deducted', api_key_id, model_id, split_part(model_id, '/', 1), 'chat', true,
    input_tokens, 0, 0, output_tokens, 0, 0, 0, credits / 160, credits, credits, status,
    case status when 'error' then 'provider_timeout' when 'cancelled' then 'client_gone' end,
    case status when 'success' then null else 'made up' end, 700 + output_tokens * 9, 1 from made_up;
do $do$
declare
    by_key boolean := to_regclass('read_models.usage_by_day') is not null;
begin
    execute format('insert into read_models.%1$I (version, account_id, day, model_id, provider, livemode, requests, failed, cancelled,
        input_tokens, cached_tokens, cache_write_tokens, output_tokens, reasoning_tokens, images, credits_used, cost_usd %2$s)
        select version, %3$L, (created_at at time zone ''UTC'')::date, model_id, split_part(model_id, ''/'', 1), true, count(*),
            count(*) filter (where status = ''error''), count(*) filter (where status = ''cancelled''), sum(input_tokens), 0, 0,
            sum(output_tokens), 0, 0, sum(credits), sum(credits) / 160 %2$s from made_up group by version, 3, model_id %2$s',
        case when by_key then 'usage_by_day' else 'usage_daily' end, case when by_key then ', api_key_id' else '' end, '{account}');
end
$do$;
update read_models.credit_balances set charged = charged + (select sum(credits) from made_up) where account_id = '{account}';
";

const UNDO: &str = r"
update read_models.credit_balances set charged = charged - (select sum(credits) from made_up) where account_id = '{account}';
do $do$
begin
    execute format('delete from read_models.%I where account_id = %L and day < (now() at time zone ''UTC'')::date',
        case when to_regclass('read_models.usage_by_day') is null then 'usage_daily' else 'usage_by_day' end, '{account}');
end
$do$;
delete from read_models.requests where request_id in (select request_id from made_up);
drop table made_up;
";

#[tokio::test(flavor = "multi_thread")]
async fn system_console_pictures() {
    let world = World::start();
    let account = world.account("team", "2500");
    let id = &account.account_id;
    for name in ["production", "nightly evaluation"] {
        world.ledger(&["key", "issue", "--account", id, "--name", name]);
    }
    world.account("pro", "100");
    let shown = world.ask(&account.key, &worked_example("")).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    world.quiet().await;
    // Something is held while the operator's page is looked at; its client leaves when that is done.
    let running = "completion_tokens=900 chunks=30 chunk_ms=4000";
    let stream = world.open(&account.key, &streamed(chat(HAIKU, 4_000, running))).await;
    world.until("it is held", async || (world.balance(id).await["held"] != "0").then_some(())).await;
    let sql = |text: &str| blocking(|| world.stack.postgres().sql(&text.replace("{account}", id)).map(drop));
    sql(MONTH).expect("a month is made up");

    let dir = RunDir::temporary("pictures").expect("a folder");
    let wanted = std::env::var_os("LAYERS_SCREENSHOTS").map(|path| place::checkout().join(PathBuf::from(path)));
    let folder = wanted.unwrap_or_else(|| dir.path().to_path_buf());
    let png = std::env::var("LAYERS_SCREENSHOTS_PNG").unwrap_or_default();
    let made = blocking(|| {
        seen_by_browser(
            "console_pictures.mjs",
            &[
                ("CONSOLE_URL", &format!("{}/console", world.stack.gateway_url(0))),
                ("API_KEY", &account.key),
                ("ADMIN_KEY", world.stack.admin_key()),
                ("ACCOUNT", id),
                ("REQUEST", &shown.request_id()),
                ("PICTURES", &folder.display().to_string()),
                ("PNG", &png),
            ],
        )
    });
    let made = made.as_object().expect("pictures");
    assert_eq!(made.len(), 6);
    for (name, picture) in made {
        assert!(picture["bytes"].as_u64().is_some_and(|bytes| (5_000..LARGEST).contains(&bytes)), "{name}: {picture}");
        assert_eq!(picture["overflow"], 0, "{name} is wider than its window");
    }
    sql(UNDO).expect("the month is taken out again");
    drop(stream);
    world.close().await;
}
