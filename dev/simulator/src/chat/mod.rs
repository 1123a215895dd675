mod events;
mod request;
mod whole;

use crate::answer::Answer;
use crate::asked::Asked;
use crate::events::Script;
use crate::server::Form;

/// Chat completions.
#[derive(Debug)]
pub struct Chat;

impl Form for Chat {
    fn read(&self, body: &[u8]) -> Result<Asked, serde_json::Error> {
        request::read(body)
    }

    fn whole(&self, answer: &Answer) -> String {
        whole::body(answer)
    }

    fn script(&self, answer: &Answer) -> Box<dyn Script> {
        Box::new(events::ChatEvents::new(answer))
    }
}
