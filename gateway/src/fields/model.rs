use super::string;
use crate::error::Invalid;
use crate::splice::Object;

/// The model, as the older of OpenAI's routes say what is wrong with it.
pub(crate) fn model(body: &Object<'_>) -> Result<String, Invalid> {
    let missing = || Invalid { code: None, param: None, message: "you must provide a model parameter".into() };
    let value = body.get("model").ok_or_else(missing)?;
    // OpenAI, too, calls this a body that cannot be parsed.
    let model = string("model", value).map_err(|_| Invalid::unparseable())?;
    if model.is_empty() { Err(missing()) } else { Ok(model) }
}
