use super::{object, string};
use crate::error::Invalid;

/// Refuses what costs more than the book says.
pub(crate) fn check_cache_control(at: &str, value: &str) -> Result<(), Invalid> {
    let ttl = object(at, value)?.get("ttl").map(|ttl| string(&format!("{at}.ttl"), ttl)).transpose()?;
    match ttl.as_deref() {
        None | Some("5m") => Ok(()),
        Some(_) => {
            let why = "What is written to the cache for longer than five minutes costs more than the price book says.";
            Err(Invalid::unsupported(format!("{at}.ttl"), why))
        }
    }
}
