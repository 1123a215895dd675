//! The provider's own record, in whichever of the known forms: one JSON value, an array of them, or one a line. Pure.
//!
//! | form | from | key |
//! |---|---|---|
//! | `{"requests": {"<request id>": {…}}}` | the simulator's `GET /stats?by=request` | our request id |
//! | `{"data": {"id": "gen_…", …}}`, or what is in `data` | Vercel AI Gateway's `GET /v1/generation?id=…` | the provider's id |
//! | `{"results": [{"day": …, "model": …, …}]}`, or its rows | Vercel AI Gateway's `GET /v1/report` | day, hour, model |

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::Read;

use anyhow::{Context, Result, bail, ensure};
use schemas::ids::RequestId;
use schemas::money::Picodollars;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::figures::Figures;

/// A whole record.
#[derive(Debug, PartialEq)]
pub enum Record {
    /// Call by call, under our request ids.
    Requests(HashMap<RequestId, Call>),
    /// Call by call, under the provider's ids.
    Generations(HashMap<String, Call>),
    /// Sums.
    Report(BTreeMap<Group, Figures>),
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which model, in the provider's words.
    pub model: Option<String>,
    /// What it is billed by.
    pub figures: Figures,
    /// It has not ended: its figures are not final.
    pub open: bool,
}

/// What a row of a report is the sum of; none where it is over all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Group {
    /// `2026-11-25`
    pub day: Option<String>,
    /// `2026-11-25T09`
    pub hour: Option<String>,
    pub model: Option<String>,
}

impl Record {
    /// Reads a record, value by value.
    ///
    /// # Errors
    /// When it is not JSON, has none of the forms, or more than one.
    pub fn read(source: impl Read) -> Result<Self> {
        let mut collected = Collected::default();
        for value in serde_json::Deserializer::from_reader(source).into_iter::<Values>() {
            for entry in value.context("the provider's record is not the JSON that is known")?.0 {
                collected.add(entry)?;
            }
        }
        collected.finish()
    }
}

/// One `/v1/generation` answer.
///
/// # Errors
/// When it is something else.
pub(super) fn generation(body: &[u8]) -> Result<Call> {
    let answer: Entry = serde_json::from_slice(body).context("not the provider's word on a generation")?;
    let generation = answer.data.context("not the provider's word on a generation: it has no `data`")?;
    Ok(generation.call())
}

#[derive(Default)]
struct Collected {
    requests: HashMap<RequestId, Call>,
    generations: HashMap<String, Call>,
    report: BTreeMap<Group, Figures>,
    /// Which groupings the rows of a report have.
    groupings: Vec<(bool, bool, bool)>,
    /// Forms of which something was there, if only an empty list.
    forms: [bool; 3],
}

impl Collected {
    fn add(&mut self, entry: Entry) -> Result<()> {
        if let Some(error) = entry.error {
            bail!("the provider's record is an error: {}", error.get());
        }
        if let Some(requests) = entry.requests {
            self.forms[0] = true;
            for (id, line) in requests {
                // The simulator is asked by others too, under ids that no request of ours has.
                if let Ok(id) = id.parse() {
                    self.requests.insert(id, line.call());
                }
            }
        } else if let Some(results) = entry.results {
            self.forms[2] = true;
            for row in results {
                self.row(row)?;
            }
        } else if let Some(generation) = entry.data {
            self.generation(*generation)?;
        } else if entry.id.is_some() {
            self.generation(entry)?;
        } else if entry.total_cost.is_some() {
            self.forms[2] = true;
            self.row(entry)?;
        } else {
            bail!("the provider's record has an entry of no known form");
        }
        Ok(())
    }

    fn generation(&mut self, generation: Entry) -> Result<()> {
        self.forms[1] = true;
        let id = generation.id.clone().context("a generation without an id")?;
        self.generations.insert(id, generation.call());
        Ok(())
    }

    fn row(&mut self, row: Entry) -> Result<()> {
        ensure!(
            row.user.is_none() && row.tag.is_none() && row.provider.is_none() && row.credential_type.is_none(),
            "the report is grouped by what our events do not know: ask for it by day, hour or model"
        );
        let grouping = (row.day.is_some(), row.hour.is_some(), row.model.is_some());
        if !self.groupings.contains(&grouping) {
            self.groupings.push(grouping);
        }
        ensure!(self.groupings.len() == 1, "the rows of the report are grouped in different ways");
        let figures = row.sums();
        let group = Group {
            day: row.day.map(|day| prefix(&day, DAY)),
            hour: row.hour.map(|hour| prefix(&hour, HOUR)),
            model: row.model,
        };
        let sum = self.report.entry(group).or_default();
        *sum = sum.plus(&figures)?;
        Ok(())
    }

    fn finish(self) -> Result<Record> {
        match self.forms {
            [true, false, false] => Ok(Record::Requests(self.requests)),
            [false, true, false] => Ok(Record::Generations(self.generations)),
            [false, false, true] => Ok(Record::Report(self.report)),
            [false, false, false] => bail!("the provider's record is empty"),
            _ => bail!("the provider's record has more than one form"),
        }
    }
}

/// Of an RFC 3339 time, the characters that name its day, and its hour.
const DAY: usize = 10;
const HOUR: usize = 13;

fn prefix(time: &str, length: usize) -> String {
    time.replace(' ', "T").chars().take(length).collect()
}

impl Group {
    /// The group of a usage of ours, in a report whose rows have these parts.
    pub fn of(like: &Self, time: &str, model: &str) -> Self {
        Self {
            day: like.day.is_some().then(|| prefix(time, DAY)),
            hour: like.hour.is_some().then(|| prefix(time, HOUR)),
            model: like.model.is_some().then(|| model.to_owned()),
        }
    }
}

/// An entry, or an array of them.
struct Values(Vec<Entry>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object or an array of objects")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Values, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    all.push(entry);
                }
                Ok(Values(all))
            }

            fn visit_map<A: MapAccess<'de>>(self, entry: A) -> Result<Values, A::Error> {
                Entry::deserialize(MapAccessDeserializer::new(entry)).map(|entry| Values(vec![entry]))
            }
        }

        deserializer.deserialize_any(Reader)
    }
}

type Number = Option<Box<RawValue>>;

/// Whatever Vercel says, all names side by side: an answer, a generation, or a row of a report.
#[derive(Default, Deserialize)]
struct Entry {
    error: Option<Box<RawValue>>,
    requests: Option<BTreeMap<String, Line>>,
    results: Option<Vec<Entry>>,
    data: Option<Box<Entry>>,

    model: Option<String>,
    /// What Vercel bills, US$.
    total_cost: Number,

    // A generation. Native tokens are what is billed by.
    id: Option<String>,
    tokens_prompt: Number,
    tokens_completion: Number,
    native_tokens_prompt: Number,
    native_tokens_completion: Number,
    native_tokens_reasoning: Number,
    native_tokens_cached: Number,
    native_tokens_cache_creation: Number,
    billable_web_search_calls: Number,

    // A row of a report.
    day: Option<String>,
    hour: Option<String>,
    user: Option<String>,
    tag: Option<String>,
    provider: Option<String>,
    credential_type: Option<String>,
    input_tokens: Number,
    output_tokens: Number,
    cached_input_tokens: Number,
    cache_creation_input_tokens: Number,
    reasoning_tokens: Number,
    request_count: Number,
}

impl Entry {
    fn call(self) -> Call {
        let figures = Figures {
            cost_usd: dollars(&self.total_cost),
            requests: None,
            input_tokens: count(&self.native_tokens_prompt).or(count(&self.tokens_prompt)),
            cached_tokens: count(&self.native_tokens_cached),
            cache_write_tokens: count(&self.native_tokens_cache_creation),
            output_tokens: count(&self.native_tokens_completion).or(count(&self.tokens_completion)),
            reasoning_tokens: count(&self.native_tokens_reasoning),
            searches: count(&self.billable_web_search_calls),
        };
        Call { model: self.model, figures: figures.with_parts_in_the_whole(), open: false }
    }

    fn sums(&self) -> Figures {
        let figures = Figures {
            cost_usd: dollars(&self.total_cost),
            requests: count(&self.request_count),
            input_tokens: count(&self.input_tokens),
            cached_tokens: count(&self.cached_input_tokens),
            cache_write_tokens: count(&self.cache_creation_input_tokens),
            output_tokens: count(&self.output_tokens),
            reasoning_tokens: count(&self.reasoning_tokens),
            searches: None,
        };
        figures.with_parts_in_the_whole()
    }
}

/// A line of the simulator's bill.
#[derive(Deserialize)]
struct Line {
    model: Option<String>,
    status: Option<String>,
    cost_usd: Number,
    prompt_tokens: Number,
    cached_tokens: Number,
    cache_write_tokens: Number,
    completion_tokens: Number,
    reasoning_tokens: Number,
}

impl Line {
    fn call(self) -> Call {
        let figures = Figures {
            cost_usd: dollars(&self.cost_usd),
            requests: None,
            input_tokens: count(&self.prompt_tokens),
            cached_tokens: count(&self.cached_tokens),
            cache_write_tokens: count(&self.cache_write_tokens),
            output_tokens: count(&self.completion_tokens),
            reasoning_tokens: count(&self.reasoning_tokens),
            searches: None,
        };
        let open = self.status.as_deref() == Some("in_flight");
        Call { model: self.model, figures: figures.with_parts_in_the_whole(), open }
    }
}

fn dollars(number: &Number) -> Option<Picodollars> {
    Picodollars::from_json(number.as_ref()?.get())
}

/// A count; some write `12.0`.
fn count(number: &Number) -> Option<u64> {
    let text = number.as_ref()?.get().trim_matches('"');
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019ab2c0-0000-7000-8000-000000000001";

    fn read(text: &str) -> Result<Record> {
        Record::read(text.as_bytes())
    }

    #[test]
    fn the_simulators_bill() {
        let line = r#"{"model":"m","status":"cancelled","streamed":true,"prompt_tokens":2000,"cached_tokens":0,
            "cache_write_tokens":0,"completion_tokens":75,"reasoning_tokens":0,"delivered_chunks":3,"cost_usd":"0.007125","calls":1}"#;
        let Record::Requests(calls) = read(&format!(r#"{{"requests":{{"{ID}":{line},"bench-1":{line}}}}}"#)).unwrap()
        else {
            panic!("another form")
        };
        let call = &calls[&ID.parse().unwrap()];
        assert_eq!((calls.len(), call.open, call.figures.output_tokens), (1, false, Some(75)));
        assert_eq!(call.figures.cost_usd.unwrap().to_string(), "0.007125");
        let open = line.replace("cancelled", "in_flight");
        let Record::Requests(calls) = read(&format!(r#"[{{"requests":{{"{ID}":{open}}}}}]"#)).unwrap() else {
            panic!("another form")
        };
        assert!(calls[&ID.parse().unwrap()].open);
    }

    #[test]
    fn vercels_generations_wrapped_or_bare_in_an_array_or_by_line() {
        let bare = |id: &str| {
            format!(
                r#"{{"id":"{id}","total_cost":2.1e-2,"upstream_inference_cost":0,"usage":0.021,"created_at":"2026-11-25T09:00:00Z",
                "model":"anthropic/claude-sonnet-4.5","is_byok":false,"tokens_prompt":1,"native_tokens_prompt":2000,
                "native_tokens_completion":1000.0,"native_tokens_reasoning":0,"native_tokens_cached":100,
                "native_tokens_cache_creation":0,"billable_web_search_calls":2}}"#
            )
            .replace('\n', "")
        };
        let wrapped = |id: &str| format!(r#"{{"data":{}}}"#, bare(id));
        for text in [
            format!("{}\n{}\n", bare("gen_1"), wrapped("gen_2")),
            format!("[{},\n{}]", wrapped("gen_1"), bare("gen_2")),
        ] {
            let Record::Generations(calls) = read(&text).unwrap() else { panic!("another form") };
            let figures = calls["gen_1"].figures;
            assert_eq!((calls.len(), figures), (2, calls["gen_2"].figures));
            assert_eq!(figures.cost_usd.unwrap().to_string(), "0.021");
            assert_eq!((figures.input_tokens, figures.output_tokens), (Some(2_000), Some(1_000)));
            assert_eq!((figures.cached_tokens, figures.searches), (Some(100), Some(2)));
        }
        assert_eq!(generation(wrapped("gen_1").as_bytes()).unwrap().figures.input_tokens, Some(2_000));
        assert!(generation(bare("gen_1").as_bytes()).is_err());
    }

    #[test]
    fn vercels_report() {
        let text = r#"{"results":[
            {"day":"2026-11-24","model":"a/b","total_cost":1.5,"input_tokens":10,"output_tokens":5,"request_count":2},
            {"day":"2026-11-25","model":"a/b","total_cost":0.5,"market_cost":0.6}]}"#;
        let Record::Report(rows) = read(text).unwrap() else { panic!("another form") };
        let group = Group { day: Some("2026-11-24".into()), hour: None, model: Some("a/b".into()) };
        assert_eq!((rows[&group].requests, rows[&group].cached_tokens), (Some(2), None));
        let bare = r#"[{"day":"2026-11-24","total_cost":1.5}]"#;
        assert!(matches!(read(bare).unwrap(), Record::Report(rows) if rows.len() == 1));
        assert!(matches!(read(r#"{"results":[]}"#).unwrap(), Record::Report(rows) if rows.is_empty()));
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for (text, why) in [
            ("", "empty"),
            ("[]", "empty"),
            ("{}", "no known form"),
            ("hello", "not the JSON"),
            (r#"{"error":"Usage event not found"}"#, "an error"),
            (r#"{"results":[{"user":"u","total_cost":1}]}"#, "our events do not know"),
            (r#"[{"day":"2026-11-24","total_cost":1},{"model":"a","total_cost":1}]"#, "different ways"),
            (r#"{"results":[]}{"data":{"id":"gen_1"}}"#, "more than one form"),
            (r#"{"data":{"total_cost":1}}"#, "without an id"),
        ] {
            let error = format!("{:#}", read(text).unwrap_err());
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
