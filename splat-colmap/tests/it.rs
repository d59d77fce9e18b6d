//! Tests of the public interface against shared data and a stand-in for COLMAP.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "it/common.rs"]
mod common;
#[path = "it/datasets.rs"]
mod datasets;
#[path = "it/models.rs"]
mod models;
