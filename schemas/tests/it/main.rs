//! The shared language, seen from outside.

mod samples;
