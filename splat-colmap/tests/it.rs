//! Tests of the public interface against shared data and a stand-in for COLMAP.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "it/common.rs"]
mod common;
#[path = "it/datasets.rs"]
mod datasets;
#[cfg(unix)]
#[path = "it/fake.rs"]
mod fake;
#[path = "it/models.rs"]
mod models;
#[path = "it/photos.rs"]
mod photos;
