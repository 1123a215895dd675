//! Changes members of a JSON object in its text and keeps every other byte: what a client or a provider wrote is not
//! ours to reformat, and numbers, escapes and unknown members survive as they are.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON object with its members as text.
#[derive(Debug)]
pub struct Object<'a> {
    text: &'a str,
    members: Vec<Member<'a>>,
}

/// One member of an object.
#[derive(Debug)]
pub struct Member<'a> {
    /// Its name.
    pub key: Cow<'a, str>,
    /// The text of its value.
    pub value: &'a str,
}

/// Why a text is not taken for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAnObject {
    /// No JSON, or JSON of another type.
    Malformed,
    /// A member is there twice: which one counts is a matter of taste, so it counts as neither.
    Duplicate(String),
}

impl<'a> Object<'a> {
    /// Reads the members of the object that a text is.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &'a str) -> Result<Self, NotAnObject> {
        let Members(members) = serde_json::from_str(text).map_err(|_| NotAnObject::Malformed)?;
        for (index, member) in members.iter().enumerate() {
            if members[..index].iter().any(|other| other.key == member.key) {
                return Err(NotAnObject::Duplicate(member.key.clone().into_owned()));
            }
        }
        Ok(Self { text, members })
    }

    /// The text of a member's value; `None` where it is absent or null.
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.member(key).map(|member| member.value).filter(|value| *value != "null")
    }

    /// The members, in their order.
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    fn member(&self, key: &str) -> Option<&Member<'a>> {
        self.members.iter().find(|member| member.key == key)
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Where a value's text lies in the whole text.
    fn range_of(&self, value: &str) -> Range<usize> {
        let start = value.as_ptr() as usize - self.text.as_ptr() as usize;
        start..start + value.len()
    }
}

/// Changes to an object, made all at once.
#[derive(Debug)]
pub struct Splice<'a, 'o> {
    object: &'o Object<'a>,
    replaced: Vec<(Range<usize>, String)>,
    added: String,
}

impl<'a, 'o> Splice<'a, 'o> {
    /// No changes yet.
    pub fn new(object: &'o Object<'a>) -> Self {
        Self { object, replaced: Vec::new(), added: String::new() }
    }

    /// Gives a member a value: its JSON text. `key` needs no escaping.
    pub fn set(&mut self, key: &'static str, value: String) {
        if let Some(member) = self.object.member(key) {
            if member.value != value {
                self.replaced.push((self.object.range_of(member.value), value));
            }
            return;
        }
        self.added.reserve(key.len() + value.len() + 4);
        for part in ["\"", key, "\":", &value, ","] {
            self.added.push_str(part);
        }
    }

    /// Takes a member out, if it is there with a value: its key, its value, and a comma. One at most, and none that is set.
    pub fn remove(&mut self, key: &'static str) {
        let Some(value) = self.object.get(key) else { return };
        let text = self.object.text;
        let value = self.object.range_of(value);
        // Before the value stand a colon and the key, in which no bare quotation mark is.
        let mut quotes = text[..value.start].rmatch_indices('"').map(|(at, _)| at);
        let Some(start) = quotes.nth(1) else { return };
        let after = text[value.end..].trim_start();
        let range = if after.starts_with(',') {
            start..text.len() - after.len() + 1
        } else {
            // The last one: the comma before it goes, if it is not the only one.
            let before = text[..start].trim_end();
            before.strip_suffix(',').map_or(start, str::len)..value.end
        };
        self.replaced.push((range, String::new()));
    }

    /// The text with the changes; `None` if nothing changes.
    pub fn finish(mut self) -> Option<String> {
        if self.replaced.is_empty() && self.added.is_empty() {
            return None;
        }
        if self.object.members.is_empty() {
            self.added.pop();
        }
        let text = self.object.text;
        // The text is an object, so its first brace opens it.
        let open = text.find('{').map_or(0, |at| at + 1);
        self.replaced.sort_unstable_by_key(|(range, _)| range.start);
        let longer: usize = self.replaced.iter().map(|(_, value)| value.len()).sum();
        let mut out = String::with_capacity(text.len() + self.added.len() + longer);
        out.push_str(&text[..open]);
        out.push_str(&self.added);
        let mut at = open;
        for (range, value) in &self.replaced {
            out.push_str(&text[at..range.start]);
            out.push_str(value);
            at = range.end;
        }
        out.push_str(&text[at..]);
        Some(out)
    }
}

struct Members<'a>(Vec<Member<'a>>);

#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                // More members than any API has: duplicates are looked for pairwise.
                const MOST: usize = 512;
                let mut members = Vec::with_capacity(16);
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    if members.len() == MOST {
                        return Err(A::Error::custom("too many members"));
                    }
                    members.push(Member { key, value: value.get() });
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    #[test]
    fn every_other_byte_stays() {
        let text = "\n{ \"b\" : 1.50 , \"stream\":null,\"x\":\"\\ud83d\\/\" } ";
        let object = Object::parse(text).unwrap();
        let mut splice = Splice::new(&object);
        splice.set("stream", "true".into());
        splice.set("n", "2".into());
        let expected = "\n{\"n\":2, \"b\" : 1.50 , \"stream\":true,\"x\":\"\\ud83d\\/\" } ";
        assert_eq!(splice.finish().unwrap(), expected);
    }

    #[test]
    fn an_empty_object_grows_without_a_stray_comma() {
        let object = Object::parse("{ }").unwrap();
        let mut splice = Splice::new(&object);
        splice.set("a", "1".into());
        splice.set("b", "2".into());
        assert_eq!(splice.finish().unwrap(), "{\"a\":1,\"b\":2 }");
        assert_eq!(Splice::new(&object).finish(), None);
    }

    #[test]
    fn duplicates_are_seen_through_escapes() {
        assert_eq!(Object::parse(r#"{"a":1,"\u0061":2}"#).unwrap_err(), NotAnObject::Duplicate("a".into()));
        for text in ["", "[]", "7", "{", "{}x", "{\"a\":}", "\u{feff}{}"] {
            assert_eq!(Object::parse(text).unwrap_err(), NotAnObject::Malformed, "{text}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-d\"\\\\{}é]{0,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    fn objects() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::btree_map("[a-d]{1,2}|model|stream", values(), 0..6).prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn is_what_setting_members_of_the_parsed_object_is(
            object in objects(), pretty: bool,
            changes in prop::collection::btree_map(prop::sample::select(vec!["a", "b", "model", "stream"]), values(), 0..4),
        ) {
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            let mut expected = object;
            let parsed = Object::parse(&text).unwrap();
            let mut splice = Splice::new(&parsed);
            for (key, value) in changes {
                splice.set(key, value.to_string());
                expected.insert(key.to_owned(), value);
            }
            let spliced = splice.finish().unwrap_or_else(|| text.clone());
            prop_assert_eq!(serde_json::from_str::<Value>(&spliced).unwrap(), json!(expected));
        }
    }
}
