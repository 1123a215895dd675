use crate::kit::{Kit, Puppet};

/// What someone with all rights could do behind the ledger's back.
async fn tamper(kit: &Kit, sql: &'static str) {
    let mut db = kit.db().await;
    sqlx::query("set session_replication_role = replica").execute(&mut db).await.unwrap();
    assert!(sqlx::query(sql).execute(&mut db).await.unwrap().rows_affected() > 0, "{sql}");
}

async fn a_request_in_the_books() -> Kit {
    let mut kit = Kit::start().await;
    let account = kit.open_account(100).await;
    let mut gateway = Puppet::register(&kit).await;
    gateway.lease(&kit, account, 0, 60).await.unwrap();
    gateway.whole_request(account, 30, 10_000, 24).await;
    kit.until_money(account, [40, 36, 0, 24, 0]).await;
    kit.kill_ledgers().await;
    assert!(kit.verify().await.ok);
    kit
}

#[tokio::test]
async fn each_difference_is_found_and_named() {
    for (tampering, of, position) in [
        ("update ledger.accounts set charged = charged - 1, unleased = unleased + 1 where charged > 0", "accounts", None),
        ("update ledger.holds set usage = 1", "holds", None),
        ("update ledger.leases set granted = granted + 1", "leases", None),
        ("update ledger.emitters set seen = '{[1,2)}' where seen @> 3::bigint", "emitters", None),
        ("delete from ledger.events where event_type = 'CreditsDeducted'", "positions", None),
        ("update ledger.events set request_id = null where event_type = 'UsageRecorded'", "events", None),
        (
            "update ledger.events set event = convert_to(replace(convert_from(event, 'UTF8'), '\"amount\":\"100\"', '\"amount\":\"101\"'), 'UTF8')
             where position = 5",
            "accounts",
            None::<u64>,
        ),
    ] {
        let kit = a_request_in_the_books().await;
        if of == "positions" {
            // In the middle of the log: something must follow.
            tamper(&kit, "update ledger.events set position = position + 1 where position = (select max(position) from ledger.events)").await;
            let report = kit.verify().await;
            assert!(!report.ok && report.differences.iter().any(|d| d.of == "positions"), "{report:#?}");
            continue;
        }
        tamper(&kit, tampering).await;
        let report = kit.verify().await;
        assert!(!report.ok, "{tampering}");
        let named = report.differences.iter().find(|difference| difference.of == of);
        assert!(named.is_some(), "{tampering}: {:#?}", report.differences);
        assert!(position.is_none() || named.unwrap().position == position);
    }
}
