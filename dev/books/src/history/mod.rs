//! A plausible year of usage, written into the read models as if a projector had read its events: for what queries cost at a size
//! that nobody wants to wait for. A test writes the events of a small one as well and compares what the projector makes of them.
//!
//! | part | does |
//! |---|---|
//! | `calendar` | how many requests come in which hour: growth, day and night, weekends |
//! | `people` | accounts, few of which make most of the business, with their keys and habits |
//! | `usage` | one request: model, tokens, how long it took, how it ended |
//! | `year` | all of it in the order of a log |
//! | `rows`, `events` | the same as rows, and as events |
//! | `fill` | rows into a database, with `copy`; sums over them by the projector's own SQL |
//! | `questions`, `plan` | the queries of docs/analytics.md, timed, and what they read |

mod calendar;
mod events;
mod fill;
mod people;
mod plan;
mod questions;
mod rows;
mod usage;
mod year;

pub use events::append;
pub use fill::{Filled, fill};
pub use plan::{Reading, explain};
pub use questions::{Question, questions};
pub use year::{Step, What, Year};
