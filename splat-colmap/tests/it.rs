//! Tests of the public interface against shared data and a stand-in for COLMAP.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

#[path = "it/common.rs"]
mod common;
#[path = "it/datasets.rs"]
mod datasets;
#[path = "it/models.rs"]
mod models;
#[path = "it/photos.rs"]
mod photos;
#[cfg(unix)]
#[path = "it/placing.rs"]
mod placing;
#[cfg(unix)]
#[path = "it/processes.rs"]
mod processes;
#[cfg(unix)]
#[path = "it/stages.rs"]
mod stages;
#[cfg(unix)]
#[path = "it/stand_in.rs"]
mod stand_in;
