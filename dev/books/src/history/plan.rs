use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

/// What a query read.
#[derive(Debug)]
pub struct Reading {
    /// Tables and indexes' tables that were read, by their names.
    pub tables: BTreeSet<String>,
    /// Planning, milliseconds.
    pub planning_ms: f64,
    /// Running, milliseconds, with the costs of watching it.
    pub execution_ms: f64,
}

/// Runs a query and says what it read: what a plan names and does not come to, as other versions and months, is not among it.
///
/// # Errors
/// When the query fails.
pub async fn explain(db: &mut PgConnection, sql: &str) -> Result<Reading> {
    let told: Value = sqlx::query_scalar(AssertSqlSafe(format!("explain (analyze, format json) {sql}")))
        .fetch_one(db)
        .await
        .with_context(|| sql.to_owned())?;
    let whole = &told[0];
    let mut tables = BTreeSet::new();
    read(&whole["Plan"], &mut tables);
    ensure!(!tables.is_empty(), "it reads nothing: {told}");
    let ms = |name: &str| whole[name].as_f64().with_context(|| format!("no {name}"));
    Ok(Reading { tables, planning_ms: ms("Planning Time")?, execution_ms: ms("Execution Time")? })
}

fn read(node: &Value, tables: &mut BTreeSet<String>) {
    if node["Actual Loops"].as_f64().is_some_and(|loops| loops > 0.0) {
        tables.extend(node["Relation Name"].as_str().map(str::to_owned));
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        read(child, tables);
    }
}
