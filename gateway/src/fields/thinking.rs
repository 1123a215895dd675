use super::{MOST_TOKENS, integer, object};
use crate::error::Invalid;
use crate::splice::Object;

/// Some providers add the thinking budget to the output limit instead of taking it from it, and predicted text that the
/// model did not follow is billed as output.
pub(crate) fn thinking_budgets(body: &Object<'_>) -> Result<u64, Invalid> {
    let budget = |within: Option<&str>, path: &str, key: &str| -> Result<u64, Invalid> {
        let Some(value) = within.filter(|value| value.starts_with('{')) else { return Ok(0) };
        let within = object(path, value)?;
        within.get(key).map_or(Ok(0), |value| integer(&format!("{path}.{key}"), value, 0, MOST_TOKENS))
    };
    let mut beside = budget(body.get("reasoning"), "reasoning", "max_tokens")?
        + budget(body.get("thinking"), "thinking", "budget_tokens")?
        + body.get("prediction").map_or(0, |value| value.len() as u64);
    if let Some(options) = body.get("providerOptions") {
        for provider in object("providerOptions", options)?.members() {
            let path = format!("providerOptions.{}", provider.key);
            if let Ok(options) = object(&path, provider.value) {
                beside += budget(options.get("thinking"), &format!("{path}.thinking"), "budgetTokens")?;
            }
        }
    }
    Ok(beside)
}
