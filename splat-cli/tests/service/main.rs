//! The service through its public interface: the real program and real requests, with jobs simulated in test mode.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

mod access;
mod artifacts;
#[cfg(unix)]
mod cluster;
mod crashes;
mod flow;
mod gesture_jobs;
mod gestures;
mod lifecycle;
mod limits;
mod operators;
mod sharing;
mod stock;
#[path = "../../../tests/test_data.rs"]
mod test_data;
mod uploads;
mod webhook;
