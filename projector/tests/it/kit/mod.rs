//! What the tests stand on.

mod random;
mod shelf;
mod story;
mod world;

pub(crate) use random::{log_of, steps};
pub(crate) use shelf::Shelf;
pub(crate) use story::{SONNET, Story, credits};
pub(crate) use world::{World, until};
