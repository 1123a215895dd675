use schemas::event::{Payload, PriceBookPublished};
use schemas::message::{PriceBookReply, PublishPriceBook, Refusal, RefusalCode};
use schemas::price_book::{DEFAULT_MARGIN_BPS, FIRST_CATALOGUE, LARGEST_MARGIN_BPS, PriceBook};
use sqlx::PgPool;

use super::{contradicted, database_away, refusal};
use crate::append::{Batch, Command, Outcome, Touched, answer};

impl Command for PublishPriceBook {
    fn touches(&self, _: &mut Touched) {}

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        if self.default_margin_bps > LARGEST_MARGIN_BPS {
            let message = format!("a margin is at most {LARGEST_MARGIN_BPS} hundredths of a percent");
            return Err(refusal(RefusalCode::BadAmount, message));
        }
        let version = batch.state.books.current_prices().map_or(1, |published| published.book.version + 1);
        let book = PriceBook::from_catalogue(&self.catalogue, version, self.default_margin_bps)
            .map_err(|error| refusal(RefusalCode::BadPriceBook, error.to_string()))?;
        publish(batch, book, &self.by, &self.why)
    }
}

/// Publishes the catalogue that came with the program, if there are no prices yet.
pub struct FirstPriceBook;

impl Command for FirstPriceBook {
    fn touches(&self, _: &mut Touched) {}

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        if batch.state.books.current_prices().is_some() {
            return answer(&());
        }
        let book = PriceBook::from_catalogue(FIRST_CATALOGUE, 1, DEFAULT_MARGIN_BPS)
            .map_err(|error| refusal(RefusalCode::BadPriceBook, error.to_string()))?;
        publish(batch, book, "ledger", "the first prices of a new installation")
    }
}

/// Puts a book in force.
pub(super) fn publish(batch: &mut Batch<'_>, book: PriceBook, by: &str, why: &str) -> Outcome {
    let payload =
        Payload::PriceBookPublished(Box::new(PriceBookPublished { book, by: by.to_owned(), why: why.to_owned() }));
    let position = batch.say(payload, None, None).map_err(contradicted)?;
    let published = batch.state.books.current_prices();
    let published = published.ok_or_else(|| refusal(RefusalCode::Unavailable, "there are no prices"))?;
    answer(&PriceBookReply { book: published.book.clone(), position })
}

/// Prices in force, as committed.
pub async fn current_prices(pool: &PgPool) -> Result<PriceBookReply, Refusal> {
    let row =
        sqlx::query!(r#"select position, book::text as "book!" from ledger.price_books order by version desc limit 1"#)
            .fetch_optional(pool)
            .await
            .map_err(database_away)?
            .ok_or_else(|| refusal(RefusalCode::Unavailable, "there are no prices yet"))?;
    let book = serde_json::from_str(&row.book)
        .map_err(|error| refusal(RefusalCode::Unavailable, format!("the price book cannot be read: {error}")))?;
    Ok(PriceBookReply { book: std::sync::Arc::new(book), position: row.position as u64 })
}
