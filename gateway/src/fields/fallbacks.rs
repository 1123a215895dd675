use super::{array, empty, object, string};
use crate::error::Invalid;
use crate::splice::{Object, Splice};

/// More would hold credits for models that hardly ever answer.
const MOST: usize = 8;

/// The models that may answer instead of the first, as the client calls them: `models`, or Vercel's
/// `providerOptions.gateway.models`.
pub(crate) fn fallbacks(body: &Object<'_>) -> Result<Vec<String>, Invalid> {
    const NESTED: &str = "providerOptions.gateway.models";
    let mut models = body.get("models").map_or(Ok(Vec::new()), |value| read("models", value))?;
    if let Some(options) = body.get("providerOptions")
        && let Some(gateway) = object("providerOptions", options)?.get("gateway")
        && let Some(nested) = object("providerOptions.gateway", gateway)?.get("models")
    {
        models.extend(read(NESTED, nested)?);
    }
    Ok(models)
}

fn read(param: &str, value: &str) -> Result<Vec<String>, Invalid> {
    let models = array(param, value)?;
    if models.is_empty() {
        return Err(empty(param));
    }
    if models.len() > MOST {
        let message = format!(
            "Invalid '{param}': array too long. Expected an array with maximum length {MOST}, but got an array with length \
             {} instead.",
            models.len()
        );
        return Err(Invalid::new("array_above_max_length", param, message));
    }
    models.iter().enumerate().map(|(index, model)| string(&format!("{param}[{index}]"), model.get())).collect()
}

/// Takes the list out of what the provider gets: it must not fall back behind our back, at another price.
pub(crate) fn without_fallbacks(body: &Object<'_>, splice: &mut Splice<'_, '_>) {
    splice.remove("models");
    let without = || {
        let options = Object::parse(body.get("providerOptions")?).ok()?;
        let gateway = Object::parse(options.get("gateway")?).ok()?;
        let mut inner = Splice::new(&gateway);
        inner.remove("models");
        let mut outer = Splice::new(&options);
        outer.set("gateway", inner.finish()?);
        outer.finish()
    };
    if let Some(options) = without() {
        splice.set("providerOptions", options);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_naming_them_are_heard_and_not_passed_on() {
        for (text, expected, left) in [
            (r#"{"a":1,"models":["x","y"]}"#, &["x", "y"][..], r#"{"a":1}"#),
            (r#"{"models" : ["x"] , "a":1}"#, &["x"], r#"{ "a":1}"#),
            (r#"{"a":1,"models":null}"#, &[], r#"{"a":1,"models":null}"#),
            (
                r#"{"providerOptions":{"gateway":{"models":["z"],"user":"u"}},"m\u006fdels":["x"]}"#,
                &["x", "z"],
                r#"{"providerOptions":{"gateway":{"user":"u"}}}"#,
            ),
            (r#"{"a":{"models":["x"]}}"#, &[], r#"{"a":{"models":["x"]}}"#),
        ] {
            let body = Object::parse(text).unwrap();
            assert_eq!(fallbacks(&body).unwrap(), expected, "{text}");
            let mut splice = Splice::new(&body);
            without_fallbacks(&body, &mut splice);
            assert_eq!(splice.finish().as_deref().unwrap_or(text), left);
        }
    }

    #[test]
    fn what_is_no_list_of_models_is_named() {
        let many = format!(r#"{{"models":[{}]}}"#, ["\"m\""; 9].join(","));
        for (text, code, param) in [
            (r#"{"models":"x"}"#, "invalid_type", "models"),
            (r#"{"models":[]}"#, "empty_array", "models"),
            (r#"{"models":["x",7]}"#, "invalid_type", "models[1]"),
            (many.as_str(), "array_above_max_length", "models"),
            (r#"{"providerOptions":{"gateway":{"models":7}}}"#, "invalid_type", "providerOptions.gateway.models"),
        ] {
            let invalid = fallbacks(&Object::parse(text).unwrap()).unwrap_err();
            assert_eq!((invalid.code, invalid.param.as_deref()), (Some(code), Some(param)), "{text}");
        }
    }
}
