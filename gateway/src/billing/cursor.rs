use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Invalid;

/// The last row of a page: the next one goes on below it. It holds only what the page has shown, and what is read by it is read
/// for the account that asks, so a made-up one shows nothing that is not the asker's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Cursor {
    pub(super) day: NaiveDate,
    pub(super) model: String,
    pub(super) key: Uuid,
}

impl Cursor {
    /// As clients keep it.
    pub(super) fn write(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// A cursor that was handed out.
    pub(super) fn read(text: &str) -> Result<Self, Invalid> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let cursor = bytes.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        // What a database cannot say was handed out by nobody.
        cursor
            .filter(|cursor| (1..=9999).contains(&chrono::Datelike::year(&cursor.day)) && !cursor.model.contains('\0'))
            .ok_or_else(|| {
                Invalid::new("invalid_value", "cursor", "Invalid 'cursor': expected the 'next' of the page before.")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_and_what_is_none_is_refused() {
        let cursor =
            Cursor { day: "2026-11-25".parse().unwrap(), model: "openai/gpt-4o".into(), key: Uuid::from_u128(7) };
        assert_eq!(Cursor::read(&cursor.write()), Ok(cursor.clone()));
        let odd = Cursor { model: "\0".into(), ..cursor.clone() }.write();
        let far = Cursor { day: NaiveDate::MAX, ..cursor }.write();
        for text in ["", "x", "e30", "bnVsbA", "ä", &odd, &far] {
            assert_eq!(Cursor::read(text).unwrap_err().param.as_deref(), Some("cursor"), "{text}");
        }
    }
}
