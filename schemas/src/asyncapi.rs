//! All that travels on NATS as an AsyncAPI 3 document, seen from the ledger: what it receives, what it sends. Generated from
//! the types and subjects that the programs use, committed as `schemas/asyncapi.json`, compared by `make check`.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::event::{EventSchema, FROM_GATEWAYS, json_schemas};
use crate::message::{
    Appended, Beacon, Confirm, Confirmed, Heartbeat, LeaseReply, LeaseRequest, Recall, Recalled, Register, Registered,
    Reply, RevocationSeen, Revoked, TierChangedNotice, command_schemas,
};
use crate::subject::{GATES, address};

/// What the variable parts of subjects are.
const PARAMETERS: [(&str, &str); 5] = [
    ("cell", "One stream, one ledger, one database: letters, digits and '-', 32 at most."),
    (
        "generation",
        "The life of the stream, counted from 1. The ledger opens the next one when NATS has lost something.",
    ),
    ("account", "Whose books the event changes: a UUIDv7."),
    ("emitter", "One life of one process: a UUIDv7."),
    ("gate", "Which of a life's gates, from 0."),
];

/// The document.
pub fn document() -> Value {
    let mut document = Document::new();
    document.stream();
    document.requests();
    document.notices();
    document.log();
    document.finish()
}

#[derive(Clone, Copy)]
enum Direction {
    ToTheLedger,
    FromTheLedger,
}

struct Document {
    schemas: SchemaGenerator,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
}

impl Document {
    fn new() -> Self {
        // AsyncAPI's schemas are a superset of draft 7.
        let settings = SchemaSettings::draft07().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let (channels, operations, messages) = (Map::new(), Map::new(), Map::new());
        Self { schemas: settings.into_generator(), channels, operations, messages }
    }

    /// What the stream carries: one channel a type, one message a version.
    fn stream(&mut self) {
        let all = json_schemas();
        for event in &all {
            self.messages.insert(event.name(), event_message(event));
        }
        for event_type in FROM_GATEWAYS {
            let names: Vec<String> =
                all.iter().filter(|event| event.event_type == *event_type).map(EventSchema::name).collect();
            let what = format!(
                "{event_type} of gateways, in the stream. Stored once acknowledged; kept until it is appended."
            );
            let key = format!("events.{event_type}");
            self.channel(
                &key,
                Some(address(|cell, any| cell.event(any.generation, any.account, event_type))),
                &what,
                &names,
            );
            self.operation(&key, Direction::ToTheLedger, &key, &names, None);
        }
        let what = format!(
            "The {GATES} gates of a life, in the stream, one message each. An authorization is published on condition that \
             its gate's last message is the one that the registration named; closing the gates fences the life."
        );
        self.text("gate", "The state of a gate.", &["open", "closed"]);
        self.channel(
            "gate",
            Some(address(|cell, any| cell.gate(any.generation, any.emitter, any.gate))),
            &what,
            &["gate".to_owned()],
        );
        self.operation("gate", Direction::FromTheLedger, "gate", &["gate".to_owned()], None);
        self.text("birth", "A fresh UUID, by which this stream differs from every other.", &[]);
        let what = "The first message of a stream, by which the ledger knows it again.";
        self.channel("birth", Some(address(|cell, any| cell.birth(any.generation))), what, &["birth".to_owned()]);
        self.operation("birth", Direction::FromTheLedger, "birth", &["birth".to_owned()], None);
    }

    /// What is asked and answered.
    fn requests(&mut self) {
        for (name, ask, reply) in command_schemas(&mut self.schemas) {
            let key = format!("command.{name}");
            self.exchange(
                &key,
                address(|cell, _| cell.command(name)),
                Direction::ToTheLedger,
                "A command. It may be refused, by name.",
                ask,
                reply,
            );
        }
        self.ask::<LeaseRequest, Reply<LeaseReply>>(
            "lease",
            address(|cell, _| cell.lease()),
            "A gateway needs credits of an account.",
        );
        self.ask::<Register, Reply<Registered>>(
            "register",
            address(|cell, _| cell.register()),
            "A gateway begins a life.",
        );
        let what = "After a reconnect, before any acknowledgement counts: are my gates still open?";
        self.ask::<Confirm, Reply<Confirmed>>("confirm", address(|cell, _| cell.confirm()), what);
        let (ask, reply) = (self.schema::<Recall>(), self.schema::<Recalled>());
        let what = "Asks a gateway for credits that it holds unused.";
        self.exchange(
            "recall",
            address(|cell, any| cell.recall(any.emitter)),
            Direction::FromTheLedger,
            what,
            ask,
            reply,
        );
        let (ask, reply) = (self.schema::<Revoked>(), self.schema::<RevocationSeen>());
        let what =
            "A key is refused from now on. The revocation has returned when every gateway has answered or is fenced.";
        self.exchange("revoked", address(|cell, _| cell.revoked()), Direction::FromTheLedger, what, ask, reply);
    }

    /// What is said without an answer, and may be lost.
    fn notices(&mut self) {
        use Direction::{FromTheLedger, ToTheLedger};
        let what = "A gateway is alive. One that is silent for longer than the lease time is fenced.";
        self.notice::<Heartbeat>("heartbeat", address(|cell, _| cell.heartbeat()), ToTheLedger, what);
        let what = "Where the ledger is, each second.";
        self.notice::<Beacon>("beacon", address(|cell, _| cell.beacon()), FromTheLedger, what);
        let what =
            "How far a life's events are appended, after each batch and each second: what is missing is sent again.";
        self.notice::<Appended>("appended", address(|cell, any| cell.appended(any.emitter)), FromTheLedger, what);
        self.notice::<TierChangedNotice>(
            "tier",
            address(|cell, _| cell.tier_changed()),
            FromTheLedger,
            "An account's plan changed.",
        );
    }

    /// What does not travel on NATS: the log, which others read from the database.
    fn log(&mut self) {
        let all: Vec<String> = json_schemas().iter().map(EventSchema::name).collect();
        let what = "The books: every event in the order of its position, in the table `ledger.events`. The types of gateways, \
                    and the ledger's own, which are in no stream.";
        self.channel("log", None, what, &all);
        self.operation("log", Direction::FromTheLedger, "log", &all, None);
    }

    fn ask<A: JsonSchema, R: JsonSchema>(&mut self, key: &str, address: String, what: &str) {
        let (ask, reply) = (self.schema::<A>(), self.schema::<R>());
        self.exchange(key, address, Direction::ToTheLedger, what, ask, reply);
    }

    fn exchange(&mut self, key: &str, address: String, direction: Direction, what: &str, ask: Schema, reply: Schema) {
        let (asked, answered) = (key.to_owned(), format!("{key}.reply"));
        self.messages.insert(asked.clone(), message(&asked, ask.into()));
        self.messages.insert(answered.clone(), message(&answered, reply.into()));
        self.channel(key, Some(address), what, std::slice::from_ref(&asked));
        self.channel(&answered, None, "The inbox that the request names.", std::slice::from_ref(&answered));
        self.operation(key, direction, key, &[asked], Some(&answered));
    }

    fn notice<T: JsonSchema>(&mut self, key: &str, address: String, direction: Direction, what: &str) {
        let names = [key.to_owned()];
        let schema = self.schema::<T>();
        self.messages.insert(key.to_owned(), message(key, schema.into()));
        self.channel(key, Some(address), what, &names);
        self.operation(key, direction, key, &names, None);
    }

    fn schema<T: JsonSchema>(&mut self) -> Schema {
        self.schemas.subschema_for::<T>()
    }

    fn text(&mut self, key: &str, what: &str, values: &[&str]) {
        let mut payload = json!({ "type": "string", "description": what });
        if !values.is_empty() {
            payload["enum"] = json!(values);
        }
        let mut message = message(key, payload);
        message["contentType"] = json!("text/plain");
        self.messages.insert(key.to_owned(), message);
    }

    fn channel(&mut self, key: &str, address: Option<String>, what: &str, messages: &[String]) {
        let messages: Map<String, Value> =
            messages.iter().map(|name| (name.clone(), reference(&["components", "messages", name]))).collect();
        let mut channel = json!({ "address": address, "description": what, "messages": messages });
        let used = |name: &str| address.as_ref().is_some_and(|address| address.contains(&format!("{{{name}}}")));
        let parameters: Map<String, Value> = PARAMETERS
            .iter()
            .filter(|(name, _)| used(name))
            .map(|(name, what)| ((*name).to_owned(), json!({ "description": what })))
            .collect();
        if !parameters.is_empty() {
            channel["parameters"] = parameters.into();
        }
        self.channels.insert(key.to_owned(), channel);
    }

    fn operation(&mut self, key: &str, direction: Direction, channel: &str, messages: &[String], reply: Option<&str>) {
        let of = |channel: &str, message: &str| reference(&["channels", channel, "messages", message]);
        let messages: Vec<Value> = messages.iter().map(|message| of(channel, message)).collect();
        let action = match direction {
            Direction::ToTheLedger => "receive",
            Direction::FromTheLedger => "send",
        };
        let mut operation =
            json!({ "action": action, "channel": reference(&["channels", channel]), "messages": messages });
        if let Some(reply) = reply {
            operation["reply"] = json!({ "channel": reference(&["channels", reply]), "messages": [of(reply, reply)] });
        }
        self.operations.insert(key.to_owned(), operation);
    }

    fn finish(mut self) -> Value {
        json!({
            "asyncapi": "3.1.0",
            "id": "urn:layers:ledger",
            "info": {
                "title": "Layers: the ledger on NATS",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "What gateways, operators and the ledger say to each other. Events are for ever; each version \
                                of each type has its JSON Schema in `json/` and a sample in `samples/`. All else is no record.",
                "license": { "name": "Apache-2.0" },
            },
            "defaultContentType": "application/json",
            "channels": self.channels,
            "operations": self.operations,
            "components": { "messages": self.messages, "schemas": self.schemas.take_definitions(true) },
        })
    }
}

fn event_message(event: &EventSchema) -> Value {
    message(&event.name(), json!({ "$ref": format!("json/{}.json", event.name()) }))
}

fn message(name: &str, payload: Value) -> Value {
    json!({ "name": name, "payload": payload })
}

/// A JSON pointer within the document.
fn reference(path: &[&str]) -> Value {
    let pointer: String = path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1"))).collect();
    json!({ "$ref": format!("#{pointer}") })
}
