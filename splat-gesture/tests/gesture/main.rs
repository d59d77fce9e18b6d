//! Tests of the public interface: real recordings, exports in other runtimes, hostile input.

#![expect(clippy::unwrap_used, reason = "a test that fails should stop")]

mod base;
mod flat;
mod hostile;
mod letters;
mod runtimes;
mod samples;
#[path = "../../../tests/test_data.rs"]
mod test_data;
