//! The projector against a real PostgreSQL, and its pure core against the ledger's fold.

mod journal;
mod journal_costs;
mod kit;

mod account_role;
mod balances_are_the_books;
mod export;
mod follow;
mod months;
mod poison;
mod profile;
mod program;
mod rebuild;
mod rebuild_one;
mod rebuild_resumed;
mod retirement;
mod roles;
mod rollups;
mod rows;
mod slots_in_any_order;
