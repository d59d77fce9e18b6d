//! Other programs that this one starts: COLMAP, ffmpeg, the process of a job.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`Environment`] | which environment variables a program gets |
//! | [`group`] | process groups, so that a program ends with all that it started |
//! | [`run`] | one run from start to end, line by line, with a time limit and cancellation |
//!
//! A server that awaits programs instead of blocking on them uses the first two.

mod environment;
pub mod group;
mod lines;

pub use environment::Environment;
pub use lines::{Ended, Run, run};
