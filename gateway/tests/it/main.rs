//! Tests of the gateway against real servers.
#![allow(missing_docs, unreachable_pub)]

mod till;
