use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use schemas::money::{Nanocredits, decimal};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// An exact JSON number, where clients want no string: its digits are those of the integer that it was counted in, never those
/// of a floating-point number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Amount(String);

impl Amount {
    /// US dollars: a credit is a cent.
    pub(super) fn dollars(credits: Nanocredits) -> Self {
        Self(decimal(credits.get().into(), 11))
    }

    /// US cents, which credits are.
    pub(super) fn cents(credits: Nanocredits) -> Self {
        Self(credits.to_string())
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_string(self.0.clone()).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_exact() {
        let credits = Nanocredits::new(i64::MAX);
        let written = [Amount::dollars(credits), Amount::cents(credits), Amount::dollars(Nanocredits::new(-1))];
        let written = serde_json::to_string(&written).unwrap();
        assert_eq!(written, "[92233720.36854775807,9223372036.854775807,-0.00000000001]");
        assert_eq!(serde_json::to_string(&Amount::dollars("3.36".parse().unwrap())).unwrap(), "0.0336");
    }
}
