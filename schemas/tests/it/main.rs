//! The shared language, seen from outside.

mod postings;
mod samples;
