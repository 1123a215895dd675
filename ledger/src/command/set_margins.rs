use schemas::message::{RefusalCode, SetMargins};
use schemas::price_book::{LARGEST_MARGIN_BPS, PriceBook};

use super::publish_price_book::publish;
use super::refusal;
use crate::append::{Batch, Command, Outcome, Touched};

impl Command for SetMargins {
    fn touches(&self, _: &mut Touched) {}

    fn decide(&self, batch: &mut Batch<'_>) -> Outcome {
        let current = batch.state.books.current_prices();
        let current = current.ok_or_else(|| refusal(RefusalCode::Unavailable, "there are no prices yet"))?;
        if self.based_on.is_some_and(|version| version != current.book.version) {
            let message = format!("version {} of the prices is in force now", current.book.version);
            return Err(refusal(RefusalCode::ReferenceReused, message));
        }
        let mut book = PriceBook { version: current.book.version + 1, ..PriceBook::clone(&current.book) };
        let asked = self.default_margin_bps.iter().chain(self.models.values().flatten());
        if let Some(margin) = asked.copied().find(|margin| *margin > LARGEST_MARGIN_BPS) {
            let message = format!("a margin of {margin} hundredths of a percent is above {LARGEST_MARGIN_BPS}");
            return Err(refusal(RefusalCode::BadAmount, message));
        }
        book.default_margin_bps = self.default_margin_bps.unwrap_or(book.default_margin_bps);
        for (id, margin) in &self.models {
            let model = book.models.get_mut(id);
            let model = model.ok_or_else(|| refusal(RefusalCode::UnknownModel, format!("no model is named '{id}'")))?;
            model.margin_bps = *margin;
        }
        publish(batch, book, &self.by, &self.why)
    }
}
