use anyhow::{Context, Result, ensure};

/// A query of docs/analytics.md.
#[derive(Debug)]
pub struct Question {
    /// As its heading says it.
    pub title: String,
    /// With psql's variables in it: `:'account'`, `:'request'`.
    pub sql: String,
}

/// All that a page asks: the `sql` blocks below its headings `### 1. …`.
///
/// # Errors
/// When a question has no query, or several.
pub fn questions(page: &str) -> Result<Vec<Question>> {
    let mut found = Vec::new();
    for section in page.split("\n### ").skip(1) {
        let (title, body) = section.split_once('\n').context("a heading stands alone")?;
        let mut blocks = body.split("```sql\n").skip(1);
        let block = blocks.next().with_context(|| format!("no query: {title}"))?;
        ensure!(blocks.next().is_none(), "several queries: {title}");
        let (sql, _) = block.split_once("```").with_context(|| format!("a query without an end: {title}"))?;
        found.push(Question { title: title.to_owned(), sql: sql.trim().trim_end_matches(';').to_owned() });
    }
    Ok(found)
}

impl Question {
    /// With psql's variables filled in.
    pub fn with(&self, account: &str, request: &str) -> String {
        self.sql.replace(":'account'", &format!("'{account}'")).replace(":'request'", &format!("'{request}'"))
    }
}
