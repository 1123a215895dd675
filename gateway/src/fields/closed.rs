//! Fields that could change the model or the price after the hold is taken. What can be priced is priced elsewhere; the
//! rest is refused by name. Fields that nobody here knows pass through.

use super::{kind, object, string};
use crate::error::Invalid;
use crate::splice::Object;

/// The client's list of other models, for routes that fall back.
pub(crate) const FALLBACKS: &str = "models";

/// Refused wherever they stand with a value, and why.
const CLOSED: [(&str, &str); 19] = [
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
    ("image_config", IMAGE_SIZE),
];

const ANOTHER_MODEL: &str = "The model that is asked is the model that answers.";
const ANOTHER_PROVIDER: &str = "Prices hold for the default routing only.";
const ANOTHER_TIER: &str = "Only the standard tier is sold.";
const BILLED_APART: &str = "What it does is billed by the provider in a way that cannot be bounded beforehand.";
const STORED: &str = "What is stored elsewhere cannot be priced. Send everything in the request.";
const IMAGE_SIZE: &str = "The price of an image holds for its default size.";

/// Options of the upstream gateway that change neither the model nor the price.
const OPEN_GATEWAY_OPTIONS: [&str; 5] = ["user", "tags", "caching", "zeroDataRetention", "disallowPromptTraining"];

/// Options of single providers that change the price.
const CLOSED_PROVIDER_OPTIONS: [(&str, &str); 11] = [
    ("serviceTier", ANOTHER_TIER),
    ("service_tier", ANOTHER_TIER),
    ("speed", ANOTHER_TIER),
    ("mcpServers", BILLED_APART),
    ("container", BILLED_APART),
    ("previousResponseId", STORED),
    ("conversation", STORED),
    ("searchParameters", BILLED_APART),
    // Black Forest Labs bill some models by the pixel.
    ("width", IMAGE_SIZE),
    ("height", IMAGE_SIZE),
    // Recraft bills vector images twice.
    ("style", IMAGE_SIZE),
];

/// Refuses what is closed. A route says which of these members mean something else to it, and checks those itself.
pub(crate) fn check(body: &Object<'_>, but: &[&str]) -> Result<(), Invalid> {
    for member in body.members() {
        // What is switched off is as good as absent.
        if member.value == "null" || member.value == "false" || but.contains(&&*member.key) {
            continue;
        }
        match &*member.key {
            "service_tier" => check_tier(member.value)?,
            "modalities" => check_modalities(member.value)?,
            "providerOptions" => check_provider_options(member.value, but)?,
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

fn check_provider_options(value: &str, but: &[&str]) -> Result<(), Invalid> {
    let options = object("providerOptions", value)?;
    for provider in options.members() {
        let at = format!("providerOptions.{}", provider.key);
        if provider.value == "null" {
            continue;
        }
        for option in object(&at, provider.value)?.members() {
            let param = || format!("{at}.{}", option.key);
            if provider.key == "gateway" {
                let falls_back = option.key == FALLBACKS && but.contains(&FALLBACKS);
                if !falls_back && !OPEN_GATEWAY_OPTIONS.contains(&&*option.key) {
                    return Err(Invalid::unsupported(param(), ANOTHER_PROVIDER));
                }
            } else if option.key == "imageConfig" {
                check_image_config(&param(), option.value)?;
            } else if let Some((_, why)) = CLOSED_PROVIDER_OPTIONS.iter().find(|(closed, _)| *closed == option.key) {
                return Err(Invalid::unsupported(param(), why));
            }
        }
    }
    Ok(())
}

/// Google's larger images cost more.
fn check_image_config(at: &str, value: &str) -> Result<(), Invalid> {
    let size = object(at, value)?.get("imageSize").map(|size| string(&format!("{at}.imageSize"), size)).transpose()?;
    match size.as_deref() {
        None | Some("1K" | "2K") => Ok(()),
        Some(_) => Err(Invalid::unsupported(format!("{at}.imageSize"), IMAGE_SIZE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(fields: &str) -> Option<(&'static str, String)> {
        let invalid = check(&Object::parse(fields).unwrap(), &["prompt"]).err()?;
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
            (
                r#"{"providerOptions":{"google":{"imageConfig":{"aspectRatio":"1:1","imageSize":"4K"}}}}"#,
                "providerOptions.google.imageConfig.imageSize",
            ),
            (r#"{"background":true}"#, "background"),
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
            r#"{"background":false,"prompt":"a route's own","usage":{"include":true},"user":"u","metadata":{},"store":false,"seed":1}"#,
            r#"{"providerOptions":{"gateway":{"user":"u","tags":["a"]},"anthropic":{"effort":"low"},
                "google":{"imageConfig":{"imageSize":"1K"}}}}"#,
        ] {
            assert_eq!(refused(fields), None, "{fields}");
        }
    }
}
