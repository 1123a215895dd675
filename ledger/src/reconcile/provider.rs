//! Where the provider's record comes from: a file, one address, or one question a call.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;

use anyhow::{Context, Result, bail};
use axum::http::Uri;
use chrono::NaiveDate;
use parking_lot::Mutex;
use schemas::ids::RequestId;

use super::fetch::Fetch;
use super::figures::Figures;
use super::ours::Ours;
use super::record::{Call, Group, Record, generation};

/// The provider's record, as it can be asked.
pub enum Provider {
    /// By our request id; what was found is taken out.
    Requests(Mutex<HashMap<RequestId, Call>>),
    /// By the provider's id; what was found is taken out.
    Generations(Mutex<HashMap<String, Call>>),
    /// By the provider's id, one question a call.
    Lookups(Box<Fetch>, Uri),
    /// Sums only.
    Report(BTreeMap<Group, Figures>),
}

/// The connection whose calls Vercel's records are of.
const AI_GATEWAY: &str = "ai-gateway";

impl Provider {
    /// A file or an address. A report is asked for the days of the range.
    ///
    /// # Errors
    /// When it cannot be read, or is no record.
    pub async fn open(place: &str, api_key: Option<&str>, days: Option<(NaiveDate, NaiveDate)>) -> Result<Self> {
        if !place.starts_with("http://") && !place.starts_with("https://") {
            let file = File::open(place).with_context(|| format!("cannot read {place}"))?;
            return Ok(Record::read(BufReader::new(file)).with_context(|| place.to_owned())?.into());
        }
        let uri: Uri = place.parse().with_context(|| format!("{place} is no address"))?;
        let fetch = Box::new(Fetch::new(api_key)?);
        let path = uri.path().trim_end_matches('/');
        let whole = match path.rsplit('/').next().unwrap_or_default() {
            "generation" => return Ok(Self::Lookups(fetch, with_query(&uri, "")?)),
            "v1" => return Ok(Self::Lookups(fetch, format!("{}/generation", place.trim_end_matches('/')).parse()?)),
            "stats" => with_query(&uri, "by=request")?,
            "report" if uri.query().is_some() => uri,
            "report" => {
                let Some((from, until)) = days else { bail!("there is nothing in this range to ask a report for") };
                with_query(&uri, &format!("start_date={from}&end_date={until}&group_by=model&date_part=day"))?
            }
            _ => uri,
        };
        let body = fetch.get(&whole).await?.with_context(|| format!("the provider knows nothing of {whole}"))?;
        Ok(Record::read(body.as_ref()).with_context(|| whole.to_string())?.into())
    }

    /// Which connection's calls it is the record of, where nobody says otherwise. A simulator may stand in for all of
    /// them: what it does not know is better listed than left out.
    pub fn upstream(&self) -> Option<&'static str> {
        match self {
            Self::Requests(_) => None,
            Self::Generations(_) | Self::Lookups(..) | Self::Report(_) => Some(AI_GATEWAY),
        }
    }

    /// What it says of a call of ours, if it knows of it.
    pub(super) async fn find(&self, ours: &Ours) -> Result<Option<Call>> {
        match (self, &ours.data.provider_request_id) {
            (Self::Requests(calls), _) => Ok(calls.lock().remove(&ours.request_id)),
            (Self::Generations(calls), Some(id)) => Ok(calls.lock().remove(id)),
            (Self::Lookups(fetch, base), Some(id)) => {
                let uri = with_query(base, &format!("id={}", encoded(id)))?;
                let answer = fetch.get(&uri).await?;
                answer.map(|body| generation(&body).with_context(|| uri.to_string())).transpose()
            }
            _ => Ok(None),
        }
    }
}

impl From<Record> for Provider {
    fn from(record: Record) -> Self {
        match record {
            Record::Requests(calls) => Self::Requests(Mutex::new(calls)),
            Record::Generations(calls) => Self::Generations(Mutex::new(calls)),
            Record::Report(rows) => Self::Report(rows),
        }
    }
}

/// The same address with another query.
fn with_query(uri: &Uri, query: &str) -> Result<Uri> {
    let mut parts = uri.clone().into_parts();
    let path = uri.path();
    let path_and_query = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    parts.path_and_query = Some(path_and_query.parse()?);
    Ok(Uri::from_parts(parts)?)
}

/// Percent-encoded, so that an id of whatever provider is one value of a query.
fn encoded(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    id.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_value_of_a_query() {
        let base: Uri = "https://example.com/v1/generation?x=1".parse().unwrap();
        let uri = with_query(&base, &format!("id={}", encoded("gen_1&a=b ü"))).unwrap();
        assert_eq!(uri.to_string(), "https://example.com/v1/generation?id=gen_1%26a%3Db%20%C3%BC");
    }
}
