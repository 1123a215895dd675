use serde_json::{Value, json};

use crate::answer::{Answer, PIXEL};
use crate::asked::Asked;
use crate::catalog::Kind;
use crate::embeddings::Unstreamed;
use crate::events::Script;
use crate::server::Form;

/// Image generations.
#[derive(Debug)]
pub struct Images;

impl Form for Images {
    fn read(&self, body: &[u8]) -> Result<Asked, serde_json::Error> {
        let body: Value = serde_json::from_slice(body)?;
        Ok(Asked {
            model: body["model"].as_str().unwrap_or_default().to_owned(),
            told: body["prompt"].as_str().unwrap_or_default().to_owned(),
            n: 1,
            images: body["n"].as_u64().unwrap_or(1),
            // What was asked for is told again, so that a test sees it.
            texts: vec![body["size"].as_str().unwrap_or_default().to_owned()],
            ..Asked::default()
        })
    }

    fn whole(&self, answer: &Answer) -> String {
        let size = answer.asked.texts.first().cloned().unwrap_or_default();
        let data: Vec<Value> = (0..answer.usage.images).map(|_| json!({ "b64_json": PIXEL })).collect();
        let metadata: Value = serde_json::from_str(&answer.provider_metadata()).unwrap_or_default();
        json!({ "created": answer.created, "data": data, "size": size, "providerMetadata": metadata }).to_string()
    }

    fn script(&self, _answer: &Answer) -> Box<dyn Script> {
        Box::new(Unstreamed)
    }

    fn kind(&self) -> Kind {
        Kind::Image
    }
}
