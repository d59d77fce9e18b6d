//! The way from photos or a posed dataset to a scene, for the command line and for services alike.

mod log;
pub mod memory;
mod output;
mod preset;
pub mod text;

pub use output::{OutputFolder, checkpoint_step};
pub use preset::Preset;
