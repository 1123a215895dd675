use crate::kit::{Books, change, owner, verified};

#[tokio::test(flavor = "multi_thread")]
async fn verification_goes_on_from_the_auditors_file() {
    let mut books = Books::made(1_500).await;
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("verified");
    let first = verified(&books.options(), Some(state.clone())).await;
    assert!(first.ok && first.after == 0, "{:#?}", first.differences);
    let before = books.last;
    books.go_on(4_000).await;
    let second = verified(&books.options(), Some(state.clone())).await;
    assert!(second.ok, "{:#?}", second.differences);
    assert_eq!((second.after, second.events), (before, books.last - before));
    let whole = verified(&books.options(), None).await;
    assert!(whole.ok, "{:#?}", whole.differences);
    let sums = |report: &ledger::verify::Report| (report.root, report.requests, report.open_holds, report.accounts);
    assert_eq!(sums(&second), sums(&whole));
    // Nothing new: nothing to fold.
    let third = verified(&books.options(), Some(state.clone())).await;
    assert!(third.ok && third.events == 0 && third.after == books.last, "{third:#?}");

    // A file that was changed is refused.
    let text = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, text.replacen("\"requests\":", "\"requests\":1", 1)).unwrap();
    let asked = ledger::verify::Asked { state: Some(state.clone()), ..Default::default() };
    let refused = ledger::verify::verify(&books.options(), &asked, &mut |_| {}).await.unwrap_err();
    assert!(format!("{refused:#}").contains("damaged"), "{refused:#}");
    std::fs::write(&state, text).unwrap();

    // What was verified before must still be what the tree begins with.
    let mut db = owner(&books.options()).await;
    change(
        &mut db,
        "update ledger.tiles set hashes = set_byte(hashes, 40, 255 - get_byte(hashes, 40)) where level = 1",
    )
    .await;
    let spoiled = verified(&books.options(), Some(state)).await;
    let named = spoiled.differences.iter().find(|difference| difference.of == "tree").map(|found| found.position);
    assert_eq!((spoiled.ok, named), (false, Some(Some(books.last))), "{:#?}", spoiled.differences);
}
