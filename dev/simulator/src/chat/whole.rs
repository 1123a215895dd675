//! An answer in one piece.

use std::fmt::Write;

use crate::answer::{ARGUMENTS, Answer};

/// The body of the answer.
pub(super) fn body(answer: &Answer) -> String {
    let Answer { id, created, model, finish_reason, directive, .. } = answer;
    let mut out = String::with_capacity(1024 + answer.text_bytes);
    let metadata = if directive.no_usage { "null".to_owned() } else { answer.provider_metadata() };
    // Writing to a String cannot fail.
    let _ =
        write!(out, r#"{{"id":"{id}","object":"chat.completion","created":{created},"model":"{model}","choices":["#);
    for index in 0..answer.n {
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(out, r#"{comma}{{"index":{index},"message":{{"role":"assistant","content":"#);
        let _ = match &answer.tool {
            Some(_) => write!(out, "null"),
            None => write!(out, r#""{}""#, answer.text()),
        };
        if let Some(tool) = &answer.tool {
            let tool = serde_json::Value::from(tool.as_str());
            let _ = write!(
                out,
                r#","tool_calls":[{{"id":"call_{index}_{id}","type":"function","function":{{"name":{tool},"arguments":"{ARGUMENTS}"}}}}]"#
            );
        }
        if answer.usage.reasoning_tokens > 0 {
            out.push_str(r#","reasoning":"Let me think.""#);
        }
        if index == 0 && answer.usage.images > 0 {
            let _ = write!(out, r#","images":{}"#, super::events::images(answer.usage.images));
        }
        let _ = write!(
            out,
            r#","refusal":null,"provider_metadata":{metadata}}},"logprobs":null,"finish_reason":"{finish_reason}"}}"#
        );
    }
    out.push(']');
    if !directive.no_usage {
        out.push_str(r#","usage":"#);
        answer.usage.write_json(answer.cost_picodollars, &mut out);
    }
    let _ = write!(out, r#","system_fingerprint":null,"generationId":"{id}"}}"#);
    out
}
