//! The provider's HTTP, from outside, byte by byte.

mod bill;
mod forms;
mod kit;
mod refusals;
mod streams;
mod whole_answers;
