//! Events → rows. The projector follows the ledger's log and keeps the read models: balances, usage, keys.
//!
//! | part | does | knows |
//! |---|---|---|
//! | `fold` | decides what a batch of events changes | no clock, no I/O |
//! | `rollup` | sums over requests that have ended: a file each | its own table |
//! | `write`, `apply` | writes that in one transaction with the checkpoint | SQL |
//! | `follow` | one batch after the other, woken by the ledger | connections, time |
//! | `rebuild` | the same beside the live rows, then swaps | both versions |
//! | `export` | usage as files, from one snapshot | views, files |

/// One batch in one transaction, with its checkpoint.
pub mod apply;
/// How the programs reach the database.
pub mod database;
/// Usage as files.
pub mod export;
/// What a batch of events changes. Pure.
pub mod fold;
/// The follower: keeps the live version up to date.
pub mod follow;
/// Roles that see one account.
pub mod grant;
/// Which months are kept.
pub mod kept;
/// How far behind the read models are.
pub mod lag;
/// The log, as it is read.
pub mod log;
/// Events of the log, decoded, a page ahead of who writes.
pub mod page;
/// Names and addresses of people, beside the read models.
pub mod profile;
/// A new version beside the live one, and the swap.
pub mod rebuild;
/// Months that are dropped.
pub mod retire;
/// Sums over requests, a file each.
pub mod rollup;
/// Health and metrics over HTTP.
pub mod serve;
/// Which tables there are, and what each is made from.
pub mod tables;
/// Each table's rows, a batch at a time.
mod write;
