//! What the OpenAPI document says is what a gateway does, by the word of programs that are not ours.

use stack::place::{self, RunDir};

use super::system_kit::{World, blocking};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_asked_by_the_document_is_answered_as_it_says() {
    let world = World::start();
    let account = world.account("bench", "100000");
    let scratch = RunDir::temporary("openapi").expect("there is room");
    let script = place::checkout().join("dev/stack/sdk/openapi.py");
    let mut command = stack::sdk::openapi_script(&script).expect("the validators are installed");
    command.args([&world.stack.gateway_url(0), &account.key, world.stack.admin_key()]);
    command.env("SCRATCH", scratch.path());
    let output = blocking(|| command.output().expect("the script runs"));
    let heard = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{heard}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{heard}");
    world.close().await;
}
