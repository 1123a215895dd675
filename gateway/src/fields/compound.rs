use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::text;
use super::value::kind;
use crate::error::Invalid;
use crate::splice::{NotAnObject, Object};

/// The body of a request.
pub(crate) fn body(text: &str) -> Result<Object<'_>, Invalid> {
    text::check(text)?;
    Object::parse(text).map_err(|error| match error {
        NotAnObject::Malformed => Invalid::unparseable(),
        NotAnObject::Duplicate(key) => duplicate(&key),
    })
}

/// An object, or what is wrong with it.
pub(crate) fn object<'a>(param: &str, value: &'a str) -> Result<Object<'a>, Invalid> {
    if !value.starts_with('{') {
        return Err(Invalid::wrong_type(param, "an object", kind(value)));
    }
    Object::parse(value).map_err(|error| match error {
        NotAnObject::Malformed => Invalid::unparseable(),
        NotAnObject::Duplicate(key) => duplicate(&format!("{param}.{key}")),
    })
}

/// The members of an object that matter here, or what is wrong with it.
pub(crate) fn members<'a, T: Deserialize<'a>>(at: &str, value: &'a str) -> Result<T, Invalid> {
    if !value.starts_with('{') {
        return Err(Invalid::wrong_type(at, "an object", kind(value)));
    }
    serde_json::from_str(value).map_err(|error| wrong_member(at, &error))
}

/// The elements of an array.
pub(crate) fn array<'a>(param: &str, value: &'a str) -> Result<Vec<&'a RawValue>, Invalid> {
    if !value.starts_with('[') {
        return Err(Invalid::wrong_type(param, "an array of objects", kind(value)));
    }
    serde_json::from_str(value).map_err(|_| Invalid::unparseable())
}

/// Whether an array has no elements.
pub(crate) fn is_empty_array(value: &str) -> bool {
    value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|inner| inner.trim().is_empty())
}

/// A member that is there twice.
fn duplicate(param: &str) -> Invalid {
    Invalid::new("invalid_value", param, format!("Invalid '{param}': it is given more than once."))
}

/// An array that must have elements and has none.
pub(crate) fn empty(at: &str) -> Invalid {
    let message = format!(
        "Invalid '{at}': empty array. Expected an array with minimum length 1, but got an empty array instead."
    );
    Invalid::new("empty_array", at, message)
}

/// A member is there twice, or has a type that says nothing.
fn wrong_member(at: &str, error: &serde_json::Error) -> Invalid {
    Invalid { code: Some("invalid_value"), param: Some(at.to_owned()), message: format!("Invalid '{at}': {error}.") }
}

/// Read from an object and nothing else: what is derived takes an array as well, member by member.
pub(crate) struct FromObject<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FromObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = FromObject<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<FromObject<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(FromObject)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}
