//! The bill: what was answered, and what was not.

use anyhow::Result;
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::kit::Provider;

#[tokio::test]
async fn a_complete_answer_is_on_the_bill_when_its_client_has_it() -> Result<()> {
    let provider = Provider::start().await?;
    for stream in [false, true] {
        provider.chat("r", "simulate: prompt_tokens=100 completion_tokens=10", json!({ "stream": stream })).await?;
    }
    let bill = provider.get("/stats").await?;
    assert_eq!((&bill["requests"], &bill["completed"], &bill["in_flight"]), (&json!(2), &json!(2), &json!(0)));
    // Twice 100 × $2.50 + 10 × $10 a million.
    assert_eq!(bill["cost_usd"], "0.0007");
    assert_eq!(bill["by_model"]["openai/gpt-4o"]["completion_tokens"], 20);
    assert_eq!(provider.line("r", "completed").await?["calls"], 2);
    assert_eq!(provider.call("POST", "/stats/reset", "", "").await?.status, 200);
    assert_eq!(provider.get("/stats").await?["requests"], 0);
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_and_billed_for_what_it_got() -> Result<()> {
    let provider = Provider::start().await?;
    let wish = "simulate: chunks=100 chunk_ms=50 completion_tokens=1000 prompt_tokens=10";
    let mut stream = provider.send("r", wish, json!({ "stream": true })).await?;
    stream.read_u8().await?;
    assert_eq!(provider.line("r", "in_flight").await?["streamed"], true);
    drop(stream);
    let line = provider.line("r", "cancelled").await?;
    let delivered = line["delivered_chunks"].as_u64().unwrap_or_default();
    assert!((1..50).contains(&delivered), "{line}");
    assert_eq!(line["completion_tokens"], delivered * 10);
    Ok(())
}

#[tokio::test]
async fn a_client_that_leaves_before_an_answer_is_noticed() -> Result<()> {
    let provider = Provider::start().await?;
    for (id, wish) in [("late", "latency_ms=60000"), ("never", "hang=1")] {
        let client = provider.send(id, &format!("simulate: {wish}"), json!({})).await?;
        provider.line(id, "in_flight").await?;
        drop(client);
        assert_eq!(provider.line(id, "cancelled").await?["completion_tokens"], 0);
    }
    Ok(())
}
