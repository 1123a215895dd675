//! Every route of the OpenAPI document, which is written out of the router: without a key, with a key that was revoked, with
//! the key of the wrong door, and by a stranger who knows all ids of an account. A route that is new is walked as well, and one
//! with a parameter of a new name stops here until it is said what another account's value of it is.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use hyper::Method;
use serde_json::Value;
use tokio::task::JoinSet;

use super::system_kit::{Answer, Client, HAIKU, World, chat, request, worked_example};

/// All ids of an account, as a stranger may have come by them.
struct Victim {
    account_id: String,
    api_key_id: String,
    request_id: String,
    answer_id: String,
    cursor: String,
    position: String,
    yesterday: String,
    tomorrow: String,
}

/// One question that a stranger asks.
struct Question {
    path: String,
    method: Method,
    tag: String,
    urls: Vec<String>,
}

impl Victim {
    /// What a stranger puts in the place of a parameter.
    fn values(&self, parameter: &str, path: &str) -> Vec<String> {
        let one = |value: &str| vec![value.to_owned()];
        match parameter {
            "request_id" => one(&self.request_id),
            "account_id" | "after" => one(&self.account_id),
            "api_key_id" => one(&self.api_key_id),
            "id" if path.contains("/models/") => one("anthropic%2Fclaude-haiku-4.5"),
            "id" => vec![self.request_id.clone(), self.answer_id.clone()],
            "cursor" => one(&self.cursor),
            "as_of" | "min_position" | "last_event_id" => one(&self.position),
            "follow" => one("false"),
            "model" => one(HAIKU),
            "group_by" => one("key"),
            "limit" => one("100"),
            "from" | "start_date" => one(&self.yesterday),
            "until" | "end_date" => one(&self.tomorrow),
            "level" => one("0"),
            "place" => one("000.p/1"),
            other => panic!("{path} has a parameter {other}: what is another account's value of it?"),
        }
    }
}

/// Every method of every path, with the parameters filled: none of the query's, and each by itself.
fn questions(document: &Value, victim: &Victim) -> Vec<Question> {
    let mut questions = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let mut filled = path.clone();
        for parameter in item["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().expect("a name");
            filled = filled.replace(&format!("{{{name}}}"), &victim.values(name, path)[0]);
        }
        assert!(!filled.contains('{'), "{path} has a parameter that is not described");
        for (method, operation) in item.as_object().expect("methods").iter().filter(|(name, _)| *name != "parameters") {
            let mut urls = vec![filled.clone()];
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().expect("a name");
                if parameter["in"] == "query" {
                    urls.extend(victim.values(name, path).iter().map(|value| format!("{filled}?{name}={value}")));
                }
            }
            if operation["responses"]["200"]["content"]["text/event-stream"].is_object() && method == "get" {
                // What goes on for ever is heard as far as it is; from its beginning, it is all that there ever was.
                urls =
                    ["last_event_id=0", "last_event_id=1"].map(|from| format!("{filled}?follow=false&{from}")).into();
                urls.push(format!("{filled}?follow=false"));
            }
            questions.push(Question {
                path: path.clone(),
                method: method.to_uppercase().parse().expect("a method"),
                tag: operation["tags"][0].as_str().expect("a tag").to_owned(),
                urls,
            });
        }
    }
    questions
}

/// Who asks, and what is nobody else's business.
struct Walk {
    client: Client,
    victim: Victim,
    /// Ids, names and amounts.
    secrets: Vec<String>,
    key: String,
    revoked: String,
    operators: String,
    strangers: [String; 3],
}

impl Walk {
    async fn ask(&self, question: &Question, url: &str, key: Option<&str>) -> Answer {
        let authorization = key.map(|key| format!("Bearer {key}"));
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", value.as_str())).collect();
        let body = if question.method == Method::POST { "{}" } else { "" };
        // Wrong keys are limited by address: each question comes from another one.
        static ASKED: AtomicU16 = AtomicU16::new(0);
        let [high, low] = ASKED.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let client = self.client.clone().from(Ipv4Addr::new(127, 1, high, low));
        client.send(request(question.method.clone(), url, &headers, body)).await
    }

    fn tells(&self, answer: &Answer) -> bool {
        self.secrets.iter().any(|secret| answer.text().contains(secret.as_str()))
    }

    /// Asks all that nobody may be told; gives whether the owner is told something.
    async fn question(&self, question: &Question) -> bool {
        let mut told = false;
        for url in &question.urls {
            let about = format!("{} {url}", question.method);
            let without = self.ask(question, url, None).await;
            if question.tag == "open" {
                let fits = without.status < 500 && without.status != 401;
                assert!(fits && !self.tells(&without), "{about}: {}", without.status);
                continue;
            }
            self.is_kept_out(question, url, &about).await;
            if question.tag == "admin" {
                continue;
            }
            let [one, two, three] = &self.strangers;
            tokio::join!(
                self.hears_nothing(question, url, one),
                self.hears_nothing(question, url, two),
                self.hears_nothing(question, url, three)
            );
            told |= question.method == Method::GET && self.tells(&self.ask(question, url, Some(&self.key)).await);
        }
        told
    }

    /// Without a key, with one that was revoked, and with that of the other door.
    async fn is_kept_out(&self, question: &Question, url: &str, about: &str) {
        let is_admin = question.tag == "admin";
        let (code, none) =
            if is_admin { ("invalid_admin_key", "invalid_admin_key") } else { ("invalid_api_key", "none") };
        let wrong_door = if is_admin { &self.key } else { &self.operators };
        for (which, key, code) in [
            ("none", None, none),
            ("revoked", Some(self.revoked.as_str()), code),
            ("wrong", Some(wrong_door.as_str()), code),
        ] {
            let answer = self.ask(question, url, key).await;
            assert_eq!(answer.status, 401, "{about} with {which}: {}", answer.text());
            assert_eq!(told_code(&answer), code, "{about} with {which}: {}", answer.text());
            assert!(!self.tells(&answer), "{about} with {which}: {}", answer.text());
        }
    }

    async fn hears_nothing(&self, question: &Question, url: &str, key: &str) {
        let answer = self.ask(question, url, Some(key)).await;
        let names_a_request = url.contains(&self.victim.request_id) || url.contains(&self.victim.answer_id);
        let fits = match (&question.method, names_a_request) {
            (_, true) => answer.status == 404,
            (&Method::POST, _) => answer.status == 400,
            _ => [200, 400, 404].contains(&answer.status),
        };
        assert!(fits && !self.tells(&answer), "{} {url}: {} {}", question.method, answer.status, answer.text());
    }
}

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_else(|| panic!("no {name} in {object}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_route_tells_a_stranger_anything() {
    let world = World::start();
    // Amounts that nothing else comes to by chance.
    let account = world.account("bench", "71.234567891");
    let stranger = world.account("bench", "10");
    let issue = |name: &str| world.ledger(&["key", "issue", "--account", &account.account_id, "--name", name]);
    let (own, revoked) = (issue("the-victims-own-key"), text(&issue("gone"), "key"));
    let key = text(&own, "key");
    let answer = world.ask(&key, &worked_example("")).await;
    let other = world.ask(&key, &chat(HAIKU, 100, "prompt_tokens=25 completion_tokens=50")).await;
    assert_eq!((answer.status, other.status), (200, 200));
    world.ledger(&["key", "revoke", &revoked]);
    world.quiet().await;
    let page = world.client().get("/v1/usage?limit=1&group_by=day,model", Some(&key)).await.json();
    let now = "select position, ((now() at time zone 'UTC')::date - 1)::text as yesterday,
        ((now() at time zone 'UTC')::date + 1)::text as tomorrow from ledger.head";
    let now = world.row(now).await;
    let victim = Victim {
        account_id: account.account_id.clone(),
        api_key_id: text(&own, "key_id"),
        request_id: answer.request_id(),
        answer_id: text(&answer.json(), "id"),
        cursor: text(&page, "next"),
        position: now["position"].to_string(),
        yesterday: text(&now, "yesterday"),
        tomorrow: text(&now, "tomorrow"),
    };
    let document = world.client().get("/openapi.json", None).await.json();
    let questions = questions(&document, &victim);

    let balance = world.balance(&account.account_id).await;
    let secrets = [
        victim.account_id.clone(),
        victim.api_key_id.clone(),
        "the-victims-own-key".to_owned(),
        text(&balance, "balance"),
        text(&balance, "charged"),
        "\"3.36\"".to_owned(),
    ];
    let walk = Arc::new(Walk {
        client: world.client(),
        victim,
        secrets: secrets.into(),
        key,
        revoked,
        operators: world.stack.admin_key().to_owned(),
        strangers: [stranger.key, stranger.sandbox_key, account.sandbox_key],
    });
    let mut walking = JoinSet::new();
    for question in questions {
        let walk = walk.clone();
        walking.spawn(async move { walk.question(&question).await.then_some(question.path) });
    }
    let told = walking.join_all().await;
    let told_to_its_owner: BTreeSet<_> = told.iter().flatten().map(|path| path.trim_start_matches("/v1")).collect();
    // The same questions do tell the account's owner, so this looks at something.
    let expected = [
        "/credits",
        "/dashboard/billing/subscription",
        "/dashboard/billing/usage",
        "/events",
        "/generation",
        "/key",
        "/receipts/{request_id}",
        "/usage",
    ];
    assert_eq!(told_to_its_owner.into_iter().collect::<Vec<_>>(), expected);
    world.close().await;
}

/// `error.code`, in whosever form.
fn told_code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap_or("none").to_owned()
}
