//! Fields that could change the model or the price after the hold is taken. What can be priced is priced elsewhere; the
//! rest is refused by name. Fields that nobody here knows pass through.

use super::value::{kind, string};
use crate::error::Invalid;
use crate::splice::{NotAnObject, Object};

/// Refused wherever they stand with a value, and why.
const CLOSED: [(&str, &str); 18] = [
    ("models", ANOTHER_MODEL),
    ("fallbacks", ANOTHER_MODEL),
    ("route", ANOTHER_MODEL),
    ("provider", ANOTHER_PROVIDER),
    ("plugins", BILLED_APART),
    ("transforms", "It changes what is sent."),
    ("web_search_options", BILLED_APART),
    ("search_parameters", BILLED_APART),
    ("mcp_servers", BILLED_APART),
    ("container", BILLED_APART),
    ("audio", "Audio is not sold."),
    ("speed", ANOTHER_TIER),
    ("inference_geo", ANOTHER_TIER),
    ("previous_response_id", STORED),
    ("conversation", STORED),
    ("prompt", STORED),
    ("background", "An answer is paid for when it is delivered."),
    ("context_management", "It changes what is sent."),
];

const ANOTHER_MODEL: &str = "The model that is asked is the model that answers.";
const ANOTHER_PROVIDER: &str = "Prices hold for the default routing only.";
const ANOTHER_TIER: &str = "Only the standard tier is sold.";
const BILLED_APART: &str = "What it does is billed by the provider in a way that cannot be bounded beforehand.";
const STORED: &str = "What is stored elsewhere cannot be priced. Send everything in 'messages'.";

/// Options of the upstream gateway that change neither the model nor the price.
const OPEN_GATEWAY_OPTIONS: [&str; 5] = ["user", "tags", "caching", "zeroDataRetention", "disallowPromptTraining"];

/// Options of single providers that change the price.
const CLOSED_PROVIDER_OPTIONS: [(&str, &str); 8] = [
    ("serviceTier", ANOTHER_TIER),
    ("service_tier", ANOTHER_TIER),
    ("speed", ANOTHER_TIER),
    ("mcpServers", BILLED_APART),
    ("container", BILLED_APART),
    ("previousResponseId", STORED),
    ("conversation", STORED),
    ("searchParameters", BILLED_APART),
];

/// Refuses what is closed.
pub(super) fn check(body: &Object<'_>) -> Result<(), Invalid> {
    for member in body.members() {
        if member.value == "null" {
            continue;
        }
        match &*member.key {
            "service_tier" => check_tier(member.value)?,
            "modalities" => check_modalities(member.value)?,
            "providerOptions" => check_provider_options(member.value)?,
            key => {
                if let Some((key, why)) = CLOSED.iter().find(|(closed, _)| *closed == key) {
                    return Err(Invalid::unsupported(*key, why));
                }
            }
        }
    }
    Ok(())
}

fn check_tier(value: &str) -> Result<(), Invalid> {
    match string("service_tier", value)?.as_str() {
        "auto" | "default" => Ok(()),
        "flex" | "scale" | "priority" | "fast" => Err(Invalid::unsupported("service_tier", ANOTHER_TIER)),
        other => {
            let message = format!("Invalid value: '{other}'. Supported values are: 'auto' and 'default'.");
            Err(Invalid::new("invalid_value", "service_tier", message))
        }
    }
}

fn check_modalities(value: &str) -> Result<(), Invalid> {
    let Ok(modalities) = serde_json::from_str::<Vec<String>>(value) else {
        return Err(Invalid::wrong_type("modalities", "an array of strings", kind(value)));
    };
    match modalities.iter().position(|modality| modality != "text" && modality != "image") {
        Some(index) => Err(Invalid::unsupported(format!("modalities[{index}]"), "Only text and images are sold.")),
        None => Ok(()),
    }
}

fn check_provider_options(value: &str) -> Result<(), Invalid> {
    let options = object("providerOptions", value)?;
    for provider in options.members() {
        let at = format!("providerOptions.{}", provider.key);
        if provider.value == "null" {
            continue;
        }
        for option in object(&at, provider.value)?.members() {
            let param = || format!("{at}.{}", option.key);
            if provider.key == "gateway" {
                if !OPEN_GATEWAY_OPTIONS.contains(&&*option.key) {
                    return Err(Invalid::unsupported(param(), ANOTHER_PROVIDER));
                }
            } else if let Some((_, why)) = CLOSED_PROVIDER_OPTIONS.iter().find(|(closed, _)| *closed == option.key) {
                return Err(Invalid::unsupported(param(), why));
            }
        }
    }
    Ok(())
}

/// An object, or what is wrong with it.
pub(super) fn object<'a>(param: &str, value: &'a str) -> Result<Object<'a>, Invalid> {
    if !value.starts_with('{') {
        return Err(Invalid::wrong_type(param, "an object", kind(value)));
    }
    Object::parse(value).map_err(|error| match error {
        NotAnObject::Malformed => Invalid::unparseable(),
        NotAnObject::Duplicate(key) => duplicate(&format!("{param}.{key}")),
    })
}

/// A member that is there twice.
pub(super) fn duplicate(param: &str) -> Invalid {
    Invalid::new("invalid_value", param, format!("Invalid '{param}': it is given more than once."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fields: &str) -> Option<(&'static str, String)> {
        let invalid = check(&Object::parse(fields).unwrap()).err()?;
        Some((invalid.code.unwrap(), invalid.param.unwrap()))
    }

    #[test]
    fn what_changes_the_model_or_the_price_is_refused_by_name() {
        for (fields, param) in [
            (r#"{"models":["a/b"]}"#, "models"),
            (r#"{"provider":{"order":["x"]}}"#, "provider"),
            (r#"{"web_search_options":{}}"#, "web_search_options"),
            (r#"{"service_tier":"priority"}"#, "service_tier"),
            (r#"{"modalities":["text","audio"]}"#, "modalities[1]"),
            (r#"{"providerOptions":{"gateway":{"models":["a/b"]}}}"#, "providerOptions.gateway.models"),
            (r#"{"providerOptions":{"gateway":{"new":1}}}"#, "providerOptions.gateway.new"),
            (r#"{"providerOptions":{"openai":{"serviceTier":"flex"}}}"#, "providerOptions.openai.serviceTier"),
        ] {
            assert_eq!(refused(fields), Some(("unsupported_parameter", param.to_owned())), "{fields}");
        }
        assert_eq!(refused(r#"{"service_tier":"bogus"}"#), Some(("invalid_value", "service_tier".to_owned())));
    }

    #[test]
    fn the_rest_passes() {
        for fields in [
            r#"{"service_tier":"auto","modalities":["text"],"temperature":2,"whatever":{"models":1},"models":null}"#,
            r#"{"usage":{"include":true},"user":"u","metadata":{},"store":false,"seed":1}"#,
            r#"{"providerOptions":{"gateway":{"user":"u","tags":["a"]},"anthropic":{"effort":"low"}}}"#,
        ] {
            assert_eq!(refused(fields), None, "{fields}");
        }
    }
}
