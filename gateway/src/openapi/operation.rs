use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::edge::Edge;

/// A row of a table of routes: what answers a path, and what it says of itself. There is no route without the second.
pub(crate) struct Row {
    pub(crate) path: &'static str,
    pub(crate) handlers: fn() -> MethodRouter<Edge>,
    pub(crate) operations: &'static [Operation],
}

/// One method of a path.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) query: Option<SchemaOf>,
    pub(crate) takes: Option<SchemaOf>,
    pub(crate) gives: (&'static str, SchemaOf),
    pub(crate) streams: bool,
    pub(crate) once: bool,
    pub(crate) resumes: bool,
}

/// Writes a type's schema, or a reference to it.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// JSON that is described elsewhere.
fn object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object" })
}

fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// Server-sent events, each of which has an id and JSON.
fn events<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let data = generator.subschema_for::<T>();
    json_schema!({
        "type": "object",
        "properties": {
            "id": { "type": "string" },
            "data": { "type": "string", "contentMediaType": "application/json", "contentSchema": data },
        },
    })
}

fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({})
}

impl Operation {
    /// `GET`; gives any object until something better is said.
    pub(crate) const fn get(summary: &'static str) -> Self {
        Self::new("get", summary)
    }

    /// `POST`; the same.
    pub(crate) const fn post(summary: &'static str) -> Self {
        Self::new("post", summary)
    }

    const fn new(method: &'static str, summary: &'static str) -> Self {
        Self {
            method,
            summary,
            query: None,
            takes: None,
            gives: ("application/json", object),
            streams: false,
            once: false,
            resumes: false,
        }
    }

    /// Which members the query may have.
    pub(crate) const fn asks<T: JsonSchema>(mut self) -> Self {
        self.query = Some(of::<T>);
        self
    }

    /// What the body is.
    pub(crate) const fn takes<T: JsonSchema>(mut self) -> Self {
        self.takes = Some(of::<T>);
        self
    }

    /// What the answer is.
    pub(crate) const fn gives<T: JsonSchema>(mut self) -> Self {
        self.gives = ("application/json", of::<T>);
        self
    }

    /// The answer can also be a stream of server-sent events.
    pub(crate) const fn streams(mut self) -> Self {
        self.streams = true;
        self
    }

    /// It costs money, and can be asked for once by an idempotency key.
    pub(crate) const fn once(mut self) -> Self {
        self.once = true;
        self
    }

    /// The answer is a stream of server-sent events and nothing else; this is the data of each.
    pub(crate) const fn gives_events<T: JsonSchema>(mut self) -> Self {
        self.gives = ("text/event-stream", events::<T>);
        self
    }

    /// It goes on after the event that the header `Last-Event-ID` names.
    pub(crate) const fn resumes(mut self) -> Self {
        self.resumes = true;
        self
    }

    /// The answer is a text.
    pub(crate) const fn gives_text(mut self) -> Self {
        self.gives = ("text/plain", text);
        self
    }

    /// The answer is bytes.
    pub(crate) const fn gives_bytes(mut self) -> Self {
        self.gives = ("application/octet-stream", bytes);
        self
    }
}
