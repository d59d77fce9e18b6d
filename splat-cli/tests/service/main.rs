//! The service from outside: the real program, real requests, jobs acted out in test mode.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

mod access;
mod artifacts;
#[cfg(unix)]
mod cluster;
mod crashes;
mod flow;
mod gestures;
mod lifecycle;
mod operators;
mod sharing;
mod stock;
#[path = "../../../tests/test_data.rs"]
mod test_data;
mod uploads;
mod webhook;
