//! The console as people meet it, in a real Chromium with and without scripts: an account's owner, a stranger, an operator.

use serde_json::Value;
use tokio::task::JoinSet;

use super::system_kit::{HAIKU, World, blocking, chat, seen_by_browser, worked_example};

const HOSTILE: &str = "<script>document.title='x'</script>";

#[tokio::test(flavor = "multi_thread")]
async fn system_console_in_a_browser() {
    let world = World::start();
    let account = world.account("team", "1000");
    let other = world.account("team", "100");
    world.ledger(&["key", "issue", "--account", &account.account_id, "--name", HOSTILE]);
    let shown = world.ask(&account.key, &worked_example("")).await;
    let stranger = world.ask(&other.key, &worked_example("")).await;
    // More than a page, one of which failed.
    for _ in 0..6 {
        let mut asking = JoinSet::new();
        for _ in 0..9 {
            let (client, key) = (world.client(), account.key.clone());
            asking.spawn(async move { client.chat(&key, &chat(HAIKU, 10, "completion_tokens=5")).await.status });
        }
        assert!(asking.join_all().await.iter().all(|status| *status == 200));
    }
    let failed = world.ask(&account.key, &chat(HAIKU, 10, "status=500")).await;
    assert_eq!(failed.status, 502);
    world.quiet().await;

    let url = format!("{}/console", world.stack.gateway_url(0));
    let seen = blocking(|| {
        seen_by_browser(
            "console.mjs",
            &[
                ("CONSOLE_URL", &url),
                ("API_KEY", &account.key),
                ("ADMIN_KEY", world.stack.admin_key()),
                ("ACCOUNT", &account.account_id),
                ("OTHER_ACCOUNT", &other.account_id),
                ("REQUEST", &shown.request_id()),
                ("OTHER_REQUEST", &stranger.request_id()),
                ("KEY_NAME", "by the console"),
            ],
        )
    });
    assert_eq!(seen["complaints"], Value::Array(vec![]), "what the browser complained of: {:#}", seen["complaints"]);
    for (page, violations) in seen["violations"].as_object().expect("pages") {
        assert_eq!(*violations, Value::Array(vec![]), "axe on '{page}': {violations:#}");
    }
    signing_in(&seen, &account.key, &account.account_id);
    an_accounts_pages(&seen, &account.account_id);
    others(&seen, &other.account_id, &stranger.request_id());
    keyboard(&seen);
    phone(&seen);
    operator(&seen, &other.account_id, &stranger.request_id());
    world.close().await;
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn signing_in(seen: &Value, key: &str, account: &str) {
    assert_eq!(seen["wrongKey"]["status"], 401, "{}", seen["wrongKey"]);
    assert!(text(&seen["wrongKey"]["alert"]).starts_with("No such key."), "{}", seen["wrongKey"]);
    assert_eq!(seen["signIn"]["path"], format!("/console/accounts/{account}"));
    assert_eq!(seen["signIn"]["heading"], "Overview");
    let [cookie] = &seen["cookies"].as_array().expect("cookies")[..] else { panic!("one cookie: {}", seen["cookies"]) };
    assert_eq!(
        (&cookie["path"], &cookie["httpOnly"], &cookie["sameSite"]),
        (&"/console".into(), &true.into(), &"Strict".into())
    );
    assert!(!text(&cookie["value"]).contains(&key[9..]), "no key in a cookie");
    assert_eq!(seen["signOut"]["cookies"], 0);
    let back = &seen["signOut"]["back"];
    assert_eq!((&back["path"], &back["heading"]), (&"/console/sign-in".into(), &"Sign in".into()), "{back}");
    assert!(!text(&back["text"]).contains("credits\n"), "the page before is gone: {back}");
}

fn an_accounts_pages(seen: &Value, account: &str) {
    let overview = &seen["overview"];
    assert_eq!((&overview["charts"], &overview["named"]), (&3.into(), &1.into()), "{overview}");
    // 56 requests and the failed one, the worked example among them.
    let table = text(&overview["table"]);
    assert!(table.contains("\t56\t1\t") || table.contains("\t56\t"), "{table}");

    let requests = &seen["requests"];
    assert_eq!((&requests["first"], &requests["second"]), (&50.into(), &6.into()), "{requests}");
    let links: std::collections::BTreeSet<&str> =
        requests["links"].as_array().expect("links").iter().map(text).collect();
    assert_eq!(links.len(), 56, "no request is shown twice, none is left out");
    assert!(links.iter().all(|link| link.starts_with(&format!("/console/accounts/{account}/requests/"))));
    let failed = &requests["failed"];
    assert_eq!((&failed["rows"], &failed["chosen"]), (&1.into(), &"error".into()), "{failed}");
    assert_eq!(failed["statuses"], serde_json::json!(["Error"]));
    assert!(text(&requests["none"]).starts_with("Nothing is found"), "{requests}");
    assert_eq!(requests["typed"], "<script>document.title=\"x\"</script>");
    assert!(text(&requests["hostileKey"]).starts_with(HOSTILE), "{requests}");
    assert_eq!(requests["tooLong"], "That cannot be asked");

    let request = &seen["request"];
    assert_eq!(request["timeline"], serde_json::json!(["Arrived", "Authorized", "Usage recorded", "Charged"]));
    assert!(text(&request["receipt"]).starts_with("Checked"), "{request}");
    let checks = request["checks"].to_string();
    assert!(checks.contains("layers/local") && checks.contains("Rated again: 3.36 credits; charged: 3.36"), "{checks}");
    assert!(text(&request["facts"]).contains("3.36"), "{request}");
    assert!(text(&seen["credits"]).contains("opening-") && text(&seen["credits"]).contains("1,000.0000"));
    let keys = &seen["keys"];
    assert_eq!(keys["issue"], 0, "an account issues no keys");
    assert!(text(&keys["text"]).contains(HOSTILE), "{keys}");
}

/// Another's id looks like one that does not exist, whatever it is the id of.
fn others(seen: &Value, account: &str, request: &str) {
    let others = seen["others"].as_object().expect("pages");
    let missing = &others["nope"];
    for (path, answer) in others {
        assert_eq!((&answer["status"], &answer["text"]), (&404.into(), &missing["text"]), "{path}: {answer}");
    }
    assert!(others.contains_key(&format!("accounts/{account}/requests/{request}")));
}

fn keyboard(seen: &Value) {
    let steps = seen["keyboard"].as_array().expect("steps");
    let texts: Vec<&str> = steps.iter().map(|step| text(&step["text"])).collect();
    assert_eq!(texts, ["Skip to content", "Layers", "Sign out", "Overview"]);
    for step in steps {
        assert!(step["seen"] == true && step["outline"] == "solid" && step["width"].as_f64() >= Some(2.0), "{step}");
    }
    assert_eq!(seen["skippedTo"], "content");
}

fn phone(seen: &Value) {
    let phone = &seen["phone"];
    assert_eq!(
        (&phone["signIn"], &phone["heading"], &phone["charts"]),
        (&303.into(), &"Overview".into(), &3.into()),
        "{phone}"
    );
    for (page, found) in phone["pages"].as_object().expect("pages") {
        assert_eq!(found["overflow"], 0, "'{page}' is wider than a phone");
        assert_eq!(found["ground"], "rgb(15, 18, 23)", "'{page}' is dark");
    }
    assert_eq!(phone["out"], "/console/sign-in");
}

fn operator(seen: &Value, other: &str, request: &str) {
    let operator = &seen["operator"];
    assert_eq!((&operator["heading"], &operator["path"]), (&"Accounts".into(), &"/console/accounts".into()));
    assert!(operator["found"].to_string().contains(other), "{operator}");
    assert_eq!(operator["request"]["path"], format!("/console/accounts/{other}/requests/{request}"));
    assert_eq!(operator["request"]["timeline"].as_array().map(Vec::len), Some(4), "{operator}");
    assert_eq!(operator["requests"], 50);
    let operations = text(&operator["operations"]);
    for part in ["Read models behind", "Leases", "Open holds by age", "No losses", "Nothing is in quarantine"] {
        assert!(operations.contains(part), "{part}: {operations}");
    }
    for (page, overflow) in operator["overflow"].as_object().expect("pages") {
        assert_eq!(*overflow, 0, "'{page}' is wider than a phone");
    }
    let issued = &seen["issued"];
    assert_eq!((&issued["looksLike"], &issued["signIn"]), (&"lyr_live_".into(), &303.into()), "{issued}");
    assert!(text(&issued["path"]).ends_with("/keys"), "no secret in an address: {issued}");
    let line = |list: &Value, word: &str| {
        text(list).lines().any(|line| line.contains("by the console") && line.contains(word))
    };
    assert!(
        line(&issued["listed"], "Active") && line(&issued["listed"], "anthropic/*, 50 credits a month"),
        "{issued}"
    );
    assert!(line(&issued["revoked"], "Revoked"), "{issued}");
    assert_eq!(issued["sessionAfter"]["path"], "/console/sign-in?over=1");
    assert!(text(&issued["sessionAfter"]["text"]).contains("Your session is over"), "{issued}");
}
