//! Usage as files: another program reads the same rows out of them, to the digit.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use projector::export::{Kind, USAGE};
use schemas::event::{Payload, ReleaseReason, UsageStatus};
use schemas::ids::AccountId;
use schemas::rate::Usage;
use schemas::tier::Tier;
use serde_json::Value;
use stack::place::{self, RunDir};

use crate::kit::{Story, World, credits, until};

const FORMATS: [(&str, &str); 3] = [("parquet", "parquet"), ("csv", "csv.zst"), ("ndjson", "ndjson.zst")];

fn export(world: &World, folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_projector"))
        .args(["export", "usage", "--json", "--out"])
        .arg(folder)
        .args(args)
        .env("DATABASE_URL", world.url())
        .output()
        .unwrap()
}

fn exported(world: &World, folder: &Path, args: &[&str]) -> Value {
    let output = export(world, folder, args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What DuckDB answers to each query, in a folder.
fn duckdb(folder: &Path, queries: &[String]) -> Vec<Value> {
    let script = place::checkout().join("dev/stack/sdk/duckdb.py");
    let output = stack::sdk::duckdb_script(&script)
        .unwrap()
        .arg(serde_json::to_string(queries).unwrap())
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What PostgreSQL answers, as DuckDB's answers are written.
fn postgres(world: &World, query: &str) -> Value {
    serde_json::from_str(&world.sql(&format!("select coalesce(json_agg(q), '[]') from ({query}) q"))).unwrap()
}

/// All columns as text, in words that both databases understand alike.
fn all_columns() -> String {
    let text = |column: &projector::export::Column| match column.kind {
        Kind::Id | Kind::Text => format!("{0}::varchar as {0}", column.name),
        Kind::Integer => format!("{0}::bigint::varchar as {0}", column.name),
        Kind::Boolean => format!("{0}::boolean::varchar as {0}", column.name),
        Kind::Decimal { scale } => format!("{0}::decimal(20, {scale})::varchar as {0}", column.name),
        Kind::Time => format!("({0}::timestamptz at time zone 'UTC')::varchar as {0}", column.name),
    };
    USAGE.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn documented_queries() -> Vec<String> {
    let text = std::fs::read_to_string(place::checkout().join("docs/analytics-export.md")).unwrap();
    text.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Two days, one without a request, and one more, with everything that a file could spoil.
async fn some_days(world: &World) -> AccountId {
    let mut story = Story::at("2026-03-15T23:59:59.700Z");
    let (account, other) = (story.opens(Tier::Pro), story.opens(Tier::Free));
    let (key, _) = story.issues_key(account);
    story.buys(account, credits(1_000));
    story.buys(other, credits(1_000));
    for (index, message) in ["a, \"b\"\nc\r\nd", "", " grüße 你好 ", "null", "\\N;'--", "{\"a\":1}"].iter().enumerate()
    {
        let request = story.request();
        story.authorizes(account, request, Some(key), credits(5));
        let mut usage = story.usage(
            Usage { input_tokens: 7, cached_tokens: 3, output_tokens: index as u64, ..Usage::default() },
            UsageStatus::Error,
        );
        let code = schemas::event::UsageErrorCode::ProviderError;
        usage.error = Some(schemas::event::UsageError { code, message: (*message).to_owned() });
        let charge = usage.charge;
        story.gateway_says(account, request, Payload::UsageRecorded(usage.into()));
        story.deducts(account, request, charge);
    }
    for _ in 0..120 {
        story.pays(account, Some(key));
        story.pays(other, None);
    }
    let released = story.request();
    story.authorizes(other, released, None, credits(5));
    story.releases(other, released, ReleaseReason::ProviderFailed);
    let open = story.request();
    story.authorizes(account, open, None, credits(5));
    story.jumps_to("2026-03-18T00:00:00Z");
    story.pays(account, None);
    world.append(&story.events).await;
    world.project(2_000).await;
    account
}

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_reads_the_same_rows_and_sums_to_the_digit() {
    let world = World::new();
    let account = some_days(&world).await;
    let range = ["--from", "2026-03-01", "--until", "2026-04-01"];
    let queries = documented_queries();
    assert_eq!(queries.len(), FORMATS.len());
    let daily = postgres(
        &world,
        "select created_at::date as day, model_id, count(*) as requests, sum(credits_used)::decimal(38, 9)::text as credits,
            sum(cost_usd)::decimal(38, 12)::text as cost_usd
         from usage_logs where livemode group by 1, 2 order by 1, 2",
    );
    let columns = all_columns();
    let rows = postgres(&world, &format!("select {columns} from usage_logs order by request_id"));
    assert_eq!(rows.as_array().unwrap().len(), 248);
    for ((format, ending), query) in FORMATS.into_iter().zip(queries) {
        let dir = RunDir::temporary("export").unwrap();
        let report = exported(&world, dir.path(), &[&range[..], &["--format", format]].concat());
        let days = ["2026-03-15", "2026-03-16", "2026-03-18"].map(|day| format!("usage-{day}.{ending}"));
        assert_eq!(files(dir.path()), [&days[..], &["usage-columns.json".to_owned()]].concat());
        assert_eq!(report["rows"], 248, "{report}");
        assert_eq!(report["position"], world.position());
        let sums = world.sql("select trim_scale(sum(credits_used)), trim_scale(sum(cost_usd)) from usage_logs");
        let told = |what: &str| report[what].as_str().unwrap().to_owned();
        assert_eq!(format!("{}|{}", told("credits_used"), told("cost_usd")), sums);

        // All cells, whatever a reader makes of the types.
        let from = match format {
            "parquet" => "'usage-*.parquet'".to_owned(),
            "csv" => "read_csv('usage-*.csv.zst', all_varchar = true, allow_quoted_nulls = false)".to_owned(),
            _ => "read_json('usage-*.ndjson.zst', format = 'newline_delimited', sample_size = -1)".to_owned(),
        };
        let everything = format!("select {columns} from {from} order by request_id");
        let answers = duckdb(dir.path(), &[query, everything]);
        assert_eq!(answers[0], daily, "{format}");
        for (found, expected) in answers[1].as_array().unwrap().iter().zip(rows.as_array().unwrap()) {
            assert_eq!(found, expected, "{format}");
        }
        assert_eq!(answers[1].as_array().unwrap().len(), 248);

        // A part of it.
        let part = RunDir::temporary("export").unwrap();
        let account = account.0.to_string();
        let asked = ["--format", format, "--account", &account, "--livemode", "true"];
        assert_eq!(exported(&world, part.path(), &[&range[..], &asked].concat())["rows"], 127);
        assert_eq!(
            exported(
                &world,
                part.path(),
                &[&range[..], &["--livemode", "false", "--overwrite", "--format", format]].concat()
            )["rows"],
            0
        );
        assert_eq!(files(part.path()), ["usage-columns.json"], "days without a request lose their files");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_has_the_types_of_the_view_and_says_what_they_mean() {
    let world = World::new();
    some_days(&world).await;
    let in_view = world.sql(
        "select string_agg(column_name || ' ' || case data_type when 'uuid' then 'varchar' when 'text' then 'varchar'
            when 'integer' then 'bigint' when 'timestamp with time zone' then 'timestamptz' else data_type end, ', ' order by ordinal_position)
         from information_schema.columns where table_schema = 'public' and table_name = 'usage_logs'",
    );
    let ours = USAGE.iter().map(|column| {
        let sql_type = column.sql_type();
        format!("{} {}", column.name, if sql_type.starts_with("decimal") { "numeric" } else { &sql_type })
    });
    assert_eq!(ours.collect::<Vec<_>>().join(", "), in_view);
    let dir = RunDir::temporary("export").unwrap();
    exported(&world, dir.path(), &["--from", "2026-03-15", "--until", "2026-03-16"]);
    let answers = duckdb(
        dir.path(),
        &[
            "select column_name, column_type from (describe from 'usage-*.parquet')".to_owned(),
            "select decode(value) as columns from parquet_kv_metadata('usage-2026-03-15.parquet') where decode(key) = 'layers.columns'".to_owned(),
        ],
    );
    for (described, column) in answers[0].as_array().unwrap().iter().zip(&USAGE) {
        let sql_type = match column.kind {
            Kind::Time => "TIMESTAMP WITH TIME ZONE".to_owned(),
            _ => column.sql_type().to_uppercase().replace(", ", ","),
        };
        assert_eq!((&described["column_name"], &described["column_type"]), (&column.name.into(), &sql_type.into()));
    }
    let beside: Value = serde_json::from_slice(&std::fs::read(dir.path().join("usage-columns.json")).unwrap()).unwrap();
    let inside: Value = serde_json::from_str(answers[1][0]["columns"].as_str().unwrap()).unwrap();
    assert_eq!(inside, beside);
    assert!(beside.as_array().unwrap().iter().all(|column| column["comment"].as_str().unwrap().len() > 3), "{beside}");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_there_are_not_replaced_unasked() {
    let world = World::new();
    some_days(&world).await;
    let dir = RunDir::temporary("export").unwrap();
    let range = ["--from", "2026-03-15", "--until", "2026-03-19"];
    exported(&world, dir.path(), &range);
    let last = dir.path().join("usage-2026-03-18.parquet");
    std::fs::remove_file(&last).unwrap();
    // What a killed export left.
    std::fs::write(dir.path().join(".usage-2026-03-18.parquet.partial"), "half").unwrap();
    let refused = export(&world, dir.path(), &range);
    let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{complaint}");
    assert!(complaint.contains("usage-2026-03-15.parquet") && complaint.contains("--overwrite"), "{complaint}");
    assert!(!last.exists(), "nothing was written");
    exported(&world, dir.path(), &[&range[..], &["--overwrite"]].concat());
    let expected =
        ["usage-2026-03-15.parquet", "usage-2026-03-16.parquet", "usage-2026-03-18.parquet", "usage-columns.json"];
    assert_eq!(files(dir.path()), expected);
    for (args, code) in
        [(["--from", "2026-03-18", "--until", "2026-03-18"], 1), (["--from", "2026-03-32", "--until", "2026-04-18"], 2)]
    {
        assert_eq!(export(&world, dir.path(), &args).status.code(), Some(code));
    }
    // A folder that cannot be written.
    assert_eq!(export(&world, &last, &range).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_of_one_state_whatever_happens_meanwhile() {
    let world = World::new();
    some_days(&world).await;
    let dir = RunDir::temporary("export").unwrap();
    let wanted = projector::export::Wanted {
        from: "2026-03-15".parse().unwrap(),
        until: "2026-03-19".parse().unwrap(),
        account: None,
        livemode: None,
        format: projector::export::Format::Ndjson,
        folder: dir.path().to_owned(),
        overwrite: false,
    };
    let mut rebuild = None;
    let mut connection = world.connect().await;
    let report = projector::export::usage(&mut connection, &wanted, |progress| {
        if progress.done == 1 && rebuild.is_none() {
            world.sql("update read_models.requests set charged_credits = 1");
            let mut command = Command::new(env!("CARGO_BIN_EXE_projector"));
            let command = command.arg("rebuild").env("DATABASE_URL", world.url()).stdout(Stdio::null());
            rebuild = Some(command.spawn().unwrap());
            // It has swapped, and would drop what we read.
            while world.sql("select version from public.projection") != "2" {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(report.rows, 248);
    assert!(rebuild.unwrap().wait().unwrap().success());
    assert_eq!(report.credits_used, world.sql("select trim_scale(sum(credits_used)) from usage_logs"));
    until(|| world.sql("select count(*) from pg_class where relname like 'requests_1%'") == "0").await;
}

/// 100 MB of rows, of which no more than a group is in memory.
#[tokio::test(flavor = "multi_thread")]
async fn memory_does_not_grow_with_the_rows() {
    const ROWS: u64 = 60_000;
    const MOST_MIB: u64 = 80;
    let world = World::new();
    world.sql(&format!(
        "select projector.ensure_months(1, '2026-03-01', '2026-03-31');
         insert into read_models.requests (version, request_id, created_at, account_id, livemode, ended, input_tokens, cached_tokens,
            cache_write_tokens, output_tokens, reasoning_tokens, images, searches, cost_usd, charged_credits, hold_credits, position, model_id, error_message)
         select 1, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n), 19, '0'))::uuid, at,
            '00000000-0000-7000-8000-000000000001', true, true, n, 0, 0, n, 0, 0, 0, n * 0.000000000001, n * 0.000000001, 1, n, 'm',
            repeat(md5(n::text), 50)
         from generate_series(1, {ROWS}) n, lateral (select timestamptz '2026-03-15 00:00:00Z' + n * interval '100 milliseconds' as at) as t"
    ));
    for (format, _) in FORMATS {
        let dir = RunDir::temporary("export").unwrap();
        let report =
            exported(&world, dir.path(), &["--from", "2026-03-15", "--until", "2026-03-17", "--format", format]);
        assert_eq!(report["rows"], ROWS);
        assert_eq!(report["credits_used"], "1.80003");
        let peak_mib = report["peak_memory_kib"].as_u64().unwrap() / 1024;
        assert!(peak_mib < MOST_MIB, "{format}: {peak_mib} MiB");
        println!("{format}: {peak_mib} MiB, {} s", report["seconds"]);
    }
}
