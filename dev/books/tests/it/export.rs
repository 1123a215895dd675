use std::path::Path;

use books::make::verifier;
use ledger::export::{Folder, check, export, import};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, Row};

use crate::kit::{Books, verified};

/// Small, so that a short log has several.
const SEGMENT: u64 = 512;

/// Everything that a ledger keeps but for what is of its stream and its writer.
const TABLES: [&str; 12] = [
    "select position, tree_size, tree_peaks from ledger.head",
    "select * from ledger.events",
    "select * from ledger.accounts",
    "select * from ledger.leases",
    "select * from ledger.holds",
    "select * from ledger.emitters",
    "select * from ledger.keys",
    "select * from ledger.refs",
    "select version, position, book::text from ledger.price_books",
    "select * from ledger.lives",
    "select * from ledger.tiles",
    "select * from ledger.checkpoints",
];

async fn rows(options: &PgConnectOptions) -> Vec<String> {
    let mut db = options.connect().await.unwrap();
    let mut all = Vec::new();
    for select in TABLES.iter().chain(&[
        "select * from ledger.notes",
        "select * from ledger.quarantine",
        "select * from ledger.repeats",
    ]) {
        let sum = format!(
            "select count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') from ({select}) t"
        );
        all.push(format!("{select}: {}", db.fetch_one(AssertSqlSafe(sum)).await.unwrap().get::<String, _>(0)));
    }
    all
}

async fn models(options: &PgConnectOptions) -> Vec<String> {
    let mut db = options.connect().await.unwrap();
    let sums = "select c::text from projector.projection p, projector.checksums(p.version) c where p.live order by 1";
    db.fetch_all(sums).await.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn exported(books: &Books, folder: &Path) -> ledger::export::Exported {
    let mut db = books.options().connect().await.unwrap();
    export(&mut db, &Folder::new(folder), SEGMENT, |_, _| {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_brings_back_the_same_books() {
    let mut books = Books::made(2_000).await;
    let dir = tempfile::tempdir().unwrap();
    let keys = [verifier().unwrap()];
    let first = exported(&books, dir.path()).await;
    assert_eq!((first.position, first.signed, first.kept), (books.last, books.last, 0));
    let checked = check(&Folder::new(dir.path()), &keys, |_, _| {}).unwrap();
    assert_eq!((checked.position, checked.signed, checked.segments), (books.last, Some(books.last), first.segments));

    // The log has grown: what was whole is kept.
    let whole = books.last / SEGMENT;
    books.go_on(3_000).await;
    let second = exported(&books, dir.path()).await;
    assert_eq!((second.position, second.kept), (books.last, whole));
    let checked = check(&Folder::new(dir.path()), &keys, |_, _| {}).unwrap();
    assert_eq!((checked.position, checked.root), (books.last, second.root));

    let mut owner = books.database("postgres").connect().await.unwrap();
    owner.execute("create database imported").await.unwrap();
    let imported = books.database("imported");
    ledger::database::migrate(&imported).await.unwrap();
    let mut db = imported.connect().await.unwrap();
    let checked = import(&mut db, &Folder::new(dir.path()), &keys, |_, _| {}).await.unwrap();
    assert_eq!((checked.position, checked.signed), (books.last, Some(books.last)));
    assert_eq!(rows(&imported).await, rows(&books.options()).await);
    books.project("imported");
    assert_eq!(models(&imported).await, models(&books.options()).await);
    let report = verified(&imported, None).await;
    assert!(report.ok && report.root == Some(second.root), "{:#?}", report.differences);

    let again = import(&mut db, &Folder::new(dir.path()), &keys, |_, _| {}).await.unwrap_err();
    assert!(again.to_string().contains("not empty"), "{again:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_changed_is_refused_and_says_where() {
    let books = Books::made(2_000).await;
    let keys = [verifier().unwrap()];
    let spoiled = async |spoil: &dyn Fn(&Path), named: &str| {
        let dir = tempfile::tempdir().unwrap();
        exported(&books, dir.path()).await;
        spoil(dir.path());
        let error = format!("{:#}", check(&Folder::new(dir.path()), &keys, |_, _| {}).unwrap_err());
        assert!(error.contains(named), "{named}: {error}");
    };
    let segment = |dir: &Path, first: u64| dir.join(format!("events/{first:020}.zst"));
    let rewrite = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
        change(&mut bytes);
        std::fs::write(path, zstd::encode_all(bytes.as_slice(), 1).unwrap()).unwrap();
    };
    // A byte of the file, a byte of an event, an event less, another order of segments, a segment less, a log that ends early.
    spoiled(
        &|dir| {
            let mut bytes = std::fs::read(segment(dir, 513)).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(segment(dir, 513), bytes).unwrap();
        },
        "00000000000000000513.zst",
    )
    .await;
    spoiled(
        &|dir| {
            rewrite(&segment(dir, 513), &|bytes| {
                let last = bytes.len() - 2;
                bytes[last] ^= 1;
            });
        },
        "00000000000000000513.zst: its events are not those of its header",
    )
    .await;
    spoiled(&|dir| std::fs::rename(segment(dir, 513), segment(dir, 1)).unwrap(), "does not follow position 0").await;
    spoiled(&|dir| std::fs::remove_file(segment(dir, 513)).unwrap(), "does not follow position 512").await;
    spoiled(
        &|dir| {
            let (_, last) = Folder::new(dir).segments().unwrap().pop().unwrap();
            std::fs::remove_file(last).unwrap();
        },
        "it ends at",
    )
    .await;
    // Signed by nobody whom we know.
    let dir = tempfile::tempdir().unwrap();
    exported(&books, dir.path()).await;
    let stranger = schemas::merkle::note::SignerKey::from_seed("layers/other", [1; 32]).unwrap();
    let error = check(&Folder::new(dir.path()), &[stranger.verifier().clone()], |_, _| {}).unwrap_err();
    assert!(format!("{error:#}").contains("none of the known keys"), "{error:#}");
    // A folder is gone on with only by its own log.
    let other = Books::made_by(8, 2_000).await;
    let mut db = other.options().connect().await.unwrap();
    let error = export(&mut db, &Folder::new(dir.path()), SEGMENT, |_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("another log"), "{error:#}");
}
