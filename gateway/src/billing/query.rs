use axum::extract::Query;
use axum::extract::rejection::QueryRejection;

use crate::error::Invalid;

/// What the query asks for; what is wrong with it, in OpenAI's terms.
pub(crate) fn asked<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Invalid> {
    query.map(|Query(asked)| asked).map_err(|rejection| wrong(&rejection.body_text()))
}

/// From the words of the reader of queries: `Failed to deserialize query string: from: premature end of input`.
fn wrong(words: &str) -> Invalid {
    let words = words.split_once("query string: ").map_or(words, |(_, words)| words);
    let (path, words) = match words.split_once(": ") {
        Some((path, words)) if !path.contains([' ', '`']) => (Some(path), words),
        _ => (None, words),
    };
    let named = words.split('`').nth(1);
    match (named, path) {
        (Some(name), _) if words.starts_with("missing field") => Invalid::missing(name),
        (Some(name), _) if words.starts_with("unknown field") => {
            Invalid::new("unknown_parameter", name, format!("Unknown parameter: '{name}'."))
        }
        (Some(name), _) if words.starts_with("duplicate field") => {
            Invalid::new("invalid_value", name, format!("'{name}' is there twice."))
        }
        (_, Some(path)) => Invalid::new("invalid_value", path, format!("Invalid '{path}': {words}.")),
        _ => Invalid { code: Some("invalid_value"), param: None, message: format!("Invalid query: {words}.") },
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;
    use chrono::NaiveDate;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only its reading is looked at")]
    struct Wanted {
        id: String,
        from: Option<NaiveDate>,
        limit: Option<u32>,
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, code, param) in [
            ("", "missing_required_parameter", "id"),
            ("id=x&days=3", "unknown_parameter", "days"),
            ("id=x&id=y", "invalid_value", "id"),
            ("id=x&from=yesterday", "invalid_value", "from"),
            ("id=x&limit=-1", "invalid_value", "limit"),
        ] {
            let uri: Uri = format!("/x?{query}").parse().unwrap();
            let invalid = asked(Query::<Wanted>::try_from_uri(&uri)).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some(code), Some(param)), "{query}: {invalid:?}");
        }
    }
}
