//! Training of Gaussians from photos and seed points.
//!
//! Start at [`Trainer::new`] and [`Trainer::step`]. A step renders a view ([`crate::render`]), compares it with its photo
//! (`loss`), computes the gradient, and updates every parameter (`optimizer`); at intervals `densify` adds, moves and removes
//! Gaussians. Nothing in a step depends on timing or on the order in which threads finish, so the same seed gives the same bits.

mod align;
mod average;
mod backdrop;
mod checkpoint;
mod config;
mod densify;
mod evaluate;
mod exposure;
mod frame;
mod known_depths;
mod loss;
pub mod memory;
mod optimizer;
mod own_loss;
mod passes;
mod photo_limits;
mod photos;
mod poses;
mod rearrange;
mod refine;
mod reports;
mod schedule;
mod seeds;
mod small_view;
mod start;
mod step;
mod trainer;
mod uniforms;
mod view_pose;
mod vignette;
mod visibility;

pub use config::{DensifyConfig, Pace, REFERENCE_STEPS, SCALE_FLOOR_GUT, Strategy, TrainConfig};
pub use evaluate::{EvalReport, ViewMetrics};
pub use own_loss::{ImageLoss, StepBuffers, StepView};
pub use poses::PoseMode;
pub use trainer::{StepReport, Trainer};

pub use crate::scene::AlphaMode;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod large_tests;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests;
