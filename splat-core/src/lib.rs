//! Gaussian splatting on any GPU: differentiable rasterization and training in WGSL over wgpu.

pub mod camera;
pub mod error;
pub mod events;
mod files;
pub mod flight;
pub mod gaussians;
pub mod gpu;
pub mod lens;
pub mod pipeline;
pub mod reference;
pub mod render;
pub mod scene;

pub use camera::{Camera, Pinhole, Pose};
pub use error::Error;
pub use events::{CancelToken, Event};
pub use gaussians::GaussianCloud;
pub use gpu::{AdapterReport, Gpu, GpuOptions};
pub use lens::{Lens, LensModel};
pub use render::{
    Frame, FrameGradient, FrameImage, GaussianBuffers, GaussianGradients, RenderOptions, Renderer,
};
pub use scene::{Scene, SceneSource, SeedPoint, View};

/// Result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;
