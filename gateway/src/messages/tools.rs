//! Tools of a request. Those that the client runs are text; those that Anthropic runs are billed apart, and not sold.

use crate::error::Invalid;
use crate::fields::{HOSTED_TOOL, array, check_cache_control, object, string};
use crate::paid::Reads;
use crate::splice::Object;

/// Tools that Anthropic describes to the model and the client runs, and the most tokens of the description: 735 for the
/// largest that is published, and as much again for what is to come.
const DESCRIBED_BY_PROVIDER: [&str; 4] = ["bash_", "text_editor_", "computer_", "memory_"];
const DESCRIPTION_TOKENS: u64 = 1_500;

/// Counts the tools.
pub(super) fn read(body: &Object<'_>, reads: &mut Reads) -> Result<(), Invalid> {
    let Some(tools) = body.get("tools") else { return Ok(()) };
    for (index, tool) in array("tools", tools)?.iter().enumerate() {
        let at = format!("tools[{index}]");
        let tool = object(&at, tool.get())?;
        let field = |name: &str| format!("{at}.{name}");
        if let Some(control) = tool.get("cache_control") {
            check_cache_control(&field("cache_control"), control)?;
        }
        match tool.get("type").map(|kind| string(&field("type"), kind)).transpose()?.as_deref() {
            None | Some("custom") => {}
            Some(kind) if DESCRIBED_BY_PROVIDER.iter().any(|known| kind.starts_with(known)) => {
                reads.hidden_tokens += DESCRIPTION_TOKENS;
            }
            Some(_) => return Err(Invalid::unsupported(field("type"), HOSTED_TOOL)),
        }
        let name = tool.get("name").ok_or_else(|| Invalid::missing(field("name")))?;
        string(&field("name"), name)?;
        reads.tools += 1;
    }
    Ok(())
}
