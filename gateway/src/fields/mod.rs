//! The members of a request's body, read out of their JSON text; what is wrong with them is said in OpenAI's words.

/// What is written to a provider's cache, and for how long.
mod cache_control;
/// What could change the model or the price behind the hold's back.
pub(crate) mod closed;
/// Arrays and objects.
mod compound;
/// Models that may stand in for it.
mod fallbacks;
/// The model.
mod model;
/// What a body's text must be before it is read.
mod text;
/// What a model may think, beside what it may write.
mod thinking;
/// What stands in the place of a URL.
mod url;
/// Single values.
mod value;

pub(crate) use cache_control::check_cache_control;
pub(crate) use compound::{FromObject, array, body, empty, is_empty_array, members, object};
pub(crate) use fallbacks::{fallbacks, without_fallbacks};
pub(crate) use model::model;
pub(crate) use thinking::thinking_budgets;
pub(crate) use url::UrlForm;
pub(crate) use value::{MOST_TOKENS, boolean, decimal, integer, kind, one_of, string};

/// Why a tool that the provider runs is not taken.
pub(crate) const HOSTED_TOOL: &str = "Tools that the provider runs are billed in a way that cannot be bounded beforehand. \
                                      Supported values are: 'function' and 'custom'.";
