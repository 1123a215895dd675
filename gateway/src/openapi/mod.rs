//! The OpenAPI document: written out of the tables of routes, in which every row describes itself, and out of the types that the
//! handlers read and write. It is committed as `docs/openapi.json` and served at `/openapi.json`.

mod error_body;
mod operation;
#[allow(dead_code, reason = "described, never made")]
mod shapes;
mod tables;

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use error_body::ErrorBody;
pub(crate) use operation::{Operation, Row};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
pub(crate) use shapes::{ChatRequest, EmbeddingsRequest, ImagesRequest, MessagesRequest, ResponsesRequest};

pub use self::tables::with_tables;
use crate::{admin, routes};

/// Who may call a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    None,
    Api,
    Admin,
}

/// The document as it is committed and served.
pub fn document() -> &'static str {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
        let mut text = serde_json::to_string_pretty(&write()).unwrap_or_default();
        text.push('\n');
        text
    });
    &DOCUMENT
}

/// `GET /openapi.json`.
pub async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], document())
}

fn write() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut generator = SchemaGenerator::new(settings);
    let error = generator.subschema_for::<ErrorBody>();
    let mut paths = Map::new();
    for (path, key, operations) in all() {
        let mut item = Map::new();
        let (path, parameters) = in_path(&path);
        for operation in operations {
            let mut own = operation.query.map(in_query).unwrap_or_default();
            let mut content = Map::new();
            content.insert(operation.gives.0.to_owned(), json!({ "schema": operation.gives.1(&mut generator) }));
            if operation.streams {
                content.insert("text/event-stream".to_owned(), json!({}));
            }
            let mut written = json!({
                "operationId": operation_id(operation.method, &path),
                "summary": operation.summary,
                "tags": [match key { Key::None => "open", Key::Api => "api", Key::Admin => "admin" }],
                "security": match key {
                    Key::None => json!([]),
                    Key::Api => json!([{ "api_key": [] }]),
                    Key::Admin => json!([{ "admin_key": [] }]),
                },
                "responses": {
                    "200": {
                        "description": "Done.",
                        "content": content,
                    },
                    "default": {
                        "description": "What is wrong, in OpenAI's form.",
                        "content": { "application/json": { "schema": error } },
                    },
                },
            });
            if operation.once {
                own.push(idempotency_key());
            }
            if operation.resumes {
                own.push(last_event_id());
            }
            if !own.is_empty() {
                written["parameters"] = own.into();
            }
            if key == Key::Admin && operation.method == "post" {
                let actor = json!({
                    "name": "x-layers-actor", "in": "header", "required": false,
                    "description": "Who does it: a program or a role, kept in the event.",
                    "schema": { "type": "string", "maxLength": 100 },
                });
                written["parameters"] = json!([actor]);
            }
            if let Some(takes) = operation.takes {
                let schema = takes(&mut generator);
                written["requestBody"] =
                    json!({ "required": true, "content": { "application/json": { "schema": schema } } });
            }
            item.insert(operation.method.to_owned(), written);
        }
        if !parameters.is_empty() {
            item.insert("parameters".to_owned(), parameters.into());
        }
        paths.insert(path, item.into());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Layers",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "An OpenAI-compatible gateway to many AI providers, paid with prepaid credits. Amounts are decimal \
                            numbers in strings.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "api_key": { "type": "http", "scheme": "bearer", "description": "lyr_live_… or lyr_test_…" },
                "admin_key": { "type": "http", "scheme": "bearer", "description": "LAYERS_ADMIN_KEY" },
            },
        },
    })
}

fn all() -> impl Iterator<Item = (String, Key, &'static [Operation])> {
    let clients = routes::described().map(|(path, is_open, operations)| {
        let key = if is_open { Key::None } else { Key::Api };
        (path, key, operations)
    });
    let operators = admin::ROUTES.iter().map(|route| (route.path.to_owned(), Key::Admin, route.operations));
    clients.chain(operators)
}

/// A path as OpenAPI writes it, and its parameters.
fn in_path(path: &str) -> (String, Vec<Value>) {
    let path = path.replace("{*", "{");
    let names = path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let parameters = names.map(|name| {
        let schema = if name.ends_with("_id") {
            json!({ "type": "string", "format": "uuid" })
        } else {
            json!({ "type": "string" })
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let parameters = parameters.collect();
    (path, parameters)
}

/// A header of every operation that costs money.
fn idempotency_key() -> Value {
    json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "The same request under the same key gets the first answer again, and is charged once. Another request under it is \
                        409 idempotency_key_reused.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
    })
}

/// A header of every operation that can go on where it ended.
fn last_event_id() -> Value {
    json!({
        "name": "Last-Event-ID", "in": "header", "required": false,
        "description": "The id of the last event that was heard, a position of the ledger: what came after it is told.",
        "schema": { "type": "string", "pattern": "^[0-9]{1,18}$" },
    })
}

fn in_query(query: operation::SchemaOf) -> Vec<Value> {
    // The type itself, not a reference to it: its members are the parameters.
    let mut own =
        SchemaGenerator::new(SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true));
    let schema = query(&mut own).to_value();
    let members = schema["properties"].as_object().cloned().unwrap_or_default();
    let needed: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let written = members.into_iter().map(|(name, mut schema)| {
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        // An absent parameter is absent, never null.
        if let Some(kinds) = schema.get("type").and_then(Value::as_array) {
            schema["type"] = kinds.iter().find(|kind| *kind != "null").cloned().unwrap_or_default();
        }
        let required = needed.contains(&name.as_str());
        json!({ "name": name, "in": "query", "required": required, "description": description, "schema": schema })
    });
    written.collect()
}

/// `post_v1_chat_completions`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::{Method, StatusCode};
    use hyper::service::Service;
    use hyper_util::service::TowerToHyperService;

    use super::*;
    use crate::config::Config;
    use crate::edge::Edge;
    use crate::till::{Till, TillConfig};

    #[test]
    fn what_is_committed_is_what_the_code_says() {
        let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json"));
        assert!(
            committed.is_ok_and(|committed| committed == document()),
            "run `cargo run -p gateway --bin openapi -- generate`"
        );
    }

    #[tokio::test]
    async fn every_method_that_is_answered_is_described_and_no_other() {
        let config = Config::read(|name| (name == "NATS_URL").then(|| "nats://127.0.0.1:1".to_owned())).unwrap();
        let till = Till::open(TillConfig::new(&config.nats_url, config.cell.clone())).await.unwrap();
        let edge = Edge::new(&config, till).unwrap();
        for route in routes::API.iter().chain(routes::ORIGINAL).chain(routes::OPEN_ROUTES).chain(&admin::ROUTES) {
            let router = Router::new().route(route.path, (route.handlers)()).with_state(edge.clone());
            let service = TowerToHyperService::new(router);
            let path = route.path.replace("{*", "{").replace(['{', '}'], "");
            for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
                let request = Request::builder().method(&method).uri(&path).body(Body::empty()).unwrap();
                let status = service.call(request).await.unwrap().status();
                let is_answered = status != StatusCode::METHOD_NOT_ALLOWED;
                let is_described =
                    route.operations.iter().any(|operation| operation.method.eq_ignore_ascii_case(method.as_str()));
                assert_eq!(is_answered, is_described, "{method} {path}");
            }
        }
    }

    #[test]
    fn each_path_of_the_router_is_in_the_document() {
        let document: Value = serde_json::from_str(document()).unwrap();
        let paths = document["paths"].as_object().unwrap();
        let served: Vec<String> = routes::paths().chain(admin::paths().map(str::to_owned)).collect();
        for path in &served {
            assert!(paths.contains_key(&path.replace("{*", "{")), "{path}");
        }
        assert_eq!(paths.len(), served.len());
    }
}
