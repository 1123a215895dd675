//! A client that names other models gets an answer of one of them where its first one fails: held for the dearest, charged by the
//! one that answered.

use serde_json::{Value, json};
use stack::local::StackOptions;

use super::system_kit::{HAIKU, SONNET, World, streamed, worked_example};

/// `a` serves one model, `b` another.
fn apart() -> World {
    let serves = |model: &str| json!({ "models": [model], "breaker": { "failures": 0 } });
    World::start_with_upstreams(&[serves(SONNET), serves(HAIKU)], StackOptions::default())
}

fn or(mut body: Value, model: &str, others: &[&str]) -> Value {
    body["model"] = model.into();
    body["models"] = others.into();
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_to_another_model_is_charged_at_its_own_price_within_the_hold() {
    let world = apart();
    let account = world.account("team", "100");
    let hold_of = async |id: &str| {
        let row = world.usage_log(id).await;
        row["hold_credits"].as_str().and_then(|text| text.parse::<f64>().ok()).expect("a hold")
    };
    let alone = world.ask(&account.key, &worked_example("")).await;
    let dearest = hold_of(&alone.request_id()).await;

    for (first, second, failing, price) in [(SONNET, HAIKU, 0, "1.12"), (HAIKU, SONNET, 1, "3.36")] {
        for body in [worked_example(""), streamed(worked_example(""))] {
            let vercels = {
                let mut body = or(body.clone(), first, &[]);
                body.as_object_mut().expect("an object").remove("models");
                body["providerOptions"] = json!({ "gateway": { "models": [second] } });
                body
            };
            for body in [or(body, first, &[first, second]), vercels] {
                world.wish(failing, "");
                let answer = world.ask(&account.key, &body).await;
                assert_eq!((answer.status, answer.header("x-layers-model")), (200, None), "{}", answer.text());
                let row = world.usage_log(&answer.request_id()).await;
                assert_eq!(row["model_id"], first, "the first one answers while it can: {row}");
                let hold = hold_of(&answer.request_id()).await;
                assert!(hold >= dearest && hold < 1.5 * dearest, "{hold} is held, {dearest} for the dearest alone");

                for wishes in ["status=500", "status=400"] {
                    world.wish(failing, wishes);
                    let answer = world.ask(&account.key, &body).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    assert_eq!(answer.header("x-layers-model"), Some(second), "it says who answered");
                    let row = world.usage_log(&answer.request_id()).await;
                    assert_eq!((&row["model_id"], &row["credits_used"]), (&second.into(), &price.into()), "{row}");
                    let events = world.events_of(&answer.request_id()).await;
                    let [authorized, used, _] = &events[..] else { panic!("{events:?}") };
                    let data = &authorized["data"];
                    assert_eq!((&data["model"], &data["fallbacks"]), (&first.into(), &json!([second])), "{authorized}");
                    assert_eq!(used["data"]["model"], second, "{used}");
                    assert_ne!(used["data"]["upstream"], data["upstream"], "who answered is not who was asked first");
                }
            }
            world.wish(failing, "");
        }
    }
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_that_may_not_answer_are_refused_before_anything_is_held() {
    let world = apart();
    let account = world.account("team", "3");
    let key = world.ledger(&["key", "issue", "--account", &account.account_id, "--model", HAIKU]);
    let key = key["key"].as_str().expect("a key").to_owned();
    for (key, body, status, code) in [
        (&key, or(worked_example(""), HAIKU, &[SONNET]), 403, "model_not_allowed"),
        (&account.key, or(worked_example(""), HAIKU, &["no/such-model"]), 404, "model_not_found"),
        // The dearest one decides what is held.
        (&account.key, or(worked_example(""), HAIKU, &[SONNET]), 402, "insufficient_credits"),
    ] {
        let answer = world.ask(key, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
    }
    assert_eq!(world.ask(&key, &or(worked_example(""), HAIKU, &[HAIKU])).await.status, 200);
    // Nobody serves it, but somebody serves the other.
    let answer = world.ask(&account.key, &or(worked_example(""), "openai/gpt-4o-mini", &[HAIKU])).await;
    assert_eq!((answer.status, answer.header("x-layers-model")), (200, Some(HAIKU)), "{}", answer.text());
    let answer = world.ask(&account.key, &or(worked_example(""), "openai/gpt-4o-mini", &[])).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "empty_array"), "{}", answer.text());
    world.close().await;
}
