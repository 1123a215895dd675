//! The tables of `docs/api.md`, written out of the tables of routes and the list of codes into what people wrote.

use std::fmt::Write;

use super::Operation;
use crate::error::code::{Again, CODES, Code, FIELD_CODES};
use crate::{admin, routes};

/// Ends what is written here.
const END: &str = "<!-- end -->";

/// The document with its tables as the code has them; each stands between `<!-- generated: name -->` and `<!-- end -->`.
/// `None` if one of them has no place in it.
pub fn with_tables(document: &str) -> Option<String> {
    let mut document = document.to_owned();
    for (name, table) in [
        ("routes", routes_table(&rows(routes::API, "/v1"))),
        ("original", routes_table(&rows(routes::ORIGINAL, ""))),
        ("open", routes_table(&rows(routes::OPEN_ROUTES, ""))),
        ("operator", routes_table(&rows(&admin::ROUTES, ""))),
        ("codes", codes_table(CODES)),
        ("field-codes", codes_table(FIELD_CODES)),
    ] {
        let begin = format!("<!-- generated: {name} -->");
        let from = document.find(&begin)? + begin.len();
        let until = from + document[from..].find(END)?;
        document.replace_range(from..until, &format!("\n\n{table}\n"));
    }
    Some(document)
}

fn rows(rows: &'static [super::Row], before: &str) -> Vec<(String, &'static Operation)> {
    let all = rows.iter().flat_map(|row| row.operations.iter().map(move |operation| (row.path, operation)));
    all.map(|(path, operation)| (format!("{before}{}", path.replace("{*", "{")), operation)).collect()
}

fn routes_table(rows: &[(String, &Operation)]) -> String {
    let mut table = String::from("| route | what it is | query |\n|---|---|---|\n");
    for (path, operation) in rows {
        let names: Vec<String> =
            operation.query.map(super::in_query).unwrap_or_default().iter().filter_map(named).collect();
        let streams = if operation.streams { "; whole or as a stream" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| `{} {path}` | {}{streams} | {} |",
            operation.method.to_uppercase(),
            operation.summary,
            names.join(", ")
        );
    }
    table
}

fn named(parameter: &serde_json::Value) -> Option<String> {
    Some(format!("`{}`", parameter["name"].as_str()?))
}

fn codes_table(codes: &[Code]) -> String {
    let mut table = String::from("| code | status | when | what to do | sent again by SDKs |\n|---|---|---|---|---|\n");
    for code in codes {
        let name = code.name.map_or_else(|| "null".to_owned(), |name| format!("`{name}`"));
        let statuses: Vec<String> = code.statuses.iter().map(u16::to_string).collect();
        let again = match code.again {
            Again::No => "no",
            Again::Yes => "yes",
            Again::AsTold => "unless `x-should-retry: false`",
        };
        let _ = writeln!(table, "| {name} | {} | {} | {} | {again} |", statuses.join(", "), code.when, code.then);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_what_the_code_says() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
        let committed = std::fs::read_to_string(file).unwrap();
        let written = with_tables(&committed).expect("each table has its place");
        assert!(written == committed, "run `cargo run -p gateway --bin openapi -- generate`");
        // Each client's route has its words by people as well, in a heading.
        let headings: Vec<&str> = committed.lines().filter(|line| line.starts_with("## ")).collect();
        for (path, _) in rows(routes::API, "/v1") {
            assert!(headings.iter().any(|heading| heading.contains(&format!("`{path}`"))), "{path} has no section");
        }
    }
}
