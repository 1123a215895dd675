use crate::kit::{Books, number, verified};
use sqlx::ConnectOptions;

#[tokio::test(flavor = "multi_thread")]
async fn books_that_nobody_touched_verify_and_the_same_seed_makes_the_same() {
    let books = Books::made(3_000).await;
    let report = verified(&books.options(), None).await;
    assert!(report.ok, "{:#?}", report.differences);
    assert_eq!((report.events, report.position), (books.last, books.last));
    assert_eq!(report.signatures, Some(report.checkpoints));
    assert_eq!(report.read_models_position, Some(books.last));
    assert!(report.checkpoints > 10 && report.requests > 500 && report.open_holds > 0, "{report:#?}");
    let root = report.root;
    // All that a log can have is in it.
    let mut db = books.options().connect().await.unwrap();
    assert_eq!(number(&mut db, "select count(distinct event_type) from ledger.events").await, 13);
    for note in ["second_ending", "authorized_after_fence", "late_usage"] {
        assert!(report.notes.contains_key(note), "no {note}: {:?}", report.notes);
    }
    assert_eq!(report.quarantined, 0);
    let again = Books::made(3_000).await;
    assert_eq!(verified(&again.options(), None).await.root, root);
}
