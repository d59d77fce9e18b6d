//! Child processes: COLMAP, ffmpeg, the process of a job.
//!
//! | part | purpose |
//! | --- | --- |
//! | [`Environment`] | the environment variables that are passed on |
//! | [`group`] | process groups, so that a program can be ended with all its descendants |
//! | [`run`] | one run from start to end, line by line, with a time limit and cancellation |
//!
//! A server, which waits for programs asynchronously, uses the first two.

mod environment;
pub mod group;
mod lines;

pub use environment::Environment;
pub use lines::{Ended, Run, run};
