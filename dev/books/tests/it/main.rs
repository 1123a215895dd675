//! Made-up books, real PostgreSQL: what verification finds, and what an export brings back.

mod kit;

mod export;
mod going_on;
mod history;
mod tampering;
mod whole;
