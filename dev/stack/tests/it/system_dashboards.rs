//! The dashboards and alert rules of `observability/` name only what is there: each metric is one that a running process
//! serves, and each query is one that an analyst may ask.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use stack::place;

use super::system_kit::{Client, World, worked_example};

fn file(name: &str) -> String {
    let path = place::checkout().join("observability").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The queries of a dashboard, by the member in which its datasource takes them.
fn queries(dashboard: &str, member: &str) -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&file(dashboard)).expect("a dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("a dashboard has panels");
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("a panel asks something"));
    targets
        .map(|target| target[member].as_str().unwrap_or_else(|| panic!("no {member}: {target}")).to_owned())
        .collect()
}

/// The expressions of the alert rules: each stands on its line, or indented below it.
fn alerts() -> Vec<String> {
    let text = file("alerts.yml");
    let mut found = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(begin) = line.strip_prefix("        expr: ") else { continue };
        let mut expression = begin.trim_start_matches(">-").to_owned();
        while let Some(more) = lines.next_if(|line| line.starts_with("          ")) {
            expression.push_str(more);
        }
        found.push(expression);
    }
    assert_eq!(found.len(), text.matches("- alert: ").count(), "each alert has its expression");
    found
}

/// What in an expression is a metric of ours.
fn metrics(expression: &str) -> BTreeSet<&str> {
    let words = expression.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("layers_") || word.starts_with("projector_")).collect()
}

/// The names that a process serves, those of a histogram's parts among them.
async fn served(url: &str) -> BTreeSet<String> {
    let text = Client::new(url).get("/metrics", None).await.text();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_and_alerts_name_only_what_is_there() {
    let world = World::start();
    let account = world.account("bench", "10");
    assert_eq!(world.ask(&account.key, &worked_example("")).await.status, 200);
    world.quiet().await;

    let mut there = BTreeSet::new();
    for url in [world.stack.gateway_url(0), world.stack.ledger_url(), world.stack.projector_url()] {
        there.extend(served(&url).await);
    }
    let expressions: Vec<String> = queries("grafana/operation.json", "expr").into_iter().chain(alerts()).collect();
    let mut named = BTreeSet::new();
    for expression in &expressions {
        let own = metrics(expression);
        assert!(!own.is_empty() || expression.starts_with("up{"), "{expression} asks for no metric");
        for name in own {
            assert!(there.contains(name), "nobody serves {name}, of {expression}; there are {there:?}");
            named.insert(name);
        }
    }
    for needed in [
        "projector_lag_seconds",
        "layers_ledger_append_lag_ms",
        "layers_ledger_lost_nanocredits",
        "layers_ledger_quarantined",
        "layers_stream_used_percent",
    ] {
        assert!(alerts().iter().any(|alert| metrics(alert).contains(needed)), "no alert is about {needed}");
    }
    println!("{} expressions, {} metrics", expressions.len(), named.len());

    // As the analyst, with Grafana's words filled in.
    let mut analyst =
        PgConnection::connect(&world.stack.database_url_as("layers_analyst")).await.expect("analysts are let in");
    let asked = queries("grafana/usage.json", "rawSql");
    for sql in &asked {
        let filled = sql
            .replace("$__timeFrom()", "'2020-01-01T00:00:00Z'")
            .replace("$__timeTo()", "'2100-01-01T00:00:00Z'")
            .replace("$livemode", "true");
        let filled = time_filters(&filled);
        assert!(!filled.contains('$'), "a word of Grafana is not filled in: {filled}");
        let rows = analyst.fetch_all(AssertSqlSafe(filled.clone())).await;
        let rows = rows.unwrap_or_else(|error| panic!("{error}: {filled}"));
        // All but what went wrong has something to show after one request.
        assert!(!rows.is_empty() || sql.contains("error_code"), "nothing by {filled}");
    }
    println!("{} queries as layers_analyst", asked.len());
    analyst.close().await.expect("the connection ends");
    world.close().await;
}

/// `$__timeFilter(column)`, as Grafana writes it.
fn time_filters(sql: &str) -> String {
    let mut parts = sql.split("$__timeFilter(");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (column, rest) = part.split_once(')').expect("a filter names its column");
        filled.push_str(&format!("{column} between '2020-01-01T00:00:00Z' and '2100-01-01T00:00:00Z'{rest}"));
    }
    filled
}
