//! The real binary: help, exit codes, messages, training, resuming, Ctrl-C.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod basics;
mod datasets;
mod gestures;
mod harness;
mod pictures;
#[path = "../../../tests/test_data.rs"]
mod test_data;
#[path = "../../../tests/tiny_dataset.rs"]
mod tiny_dataset;
mod training;
mod view;
