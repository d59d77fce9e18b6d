//! Gaussian splatting on any GPU: differentiable rasterization and training in WGSL over wgpu.

pub mod bench;
pub mod camera;
pub mod dataset;
pub mod demo;
pub mod error;
pub mod events;
pub mod files;
pub mod flight;
pub mod gaussians;
pub mod gpu;
pub mod images;
pub mod lens;
mod machine;
pub mod metrics;
pub mod nerfstudio;
pub mod pipeline;
pub mod ply;
mod random;
pub mod reference;
pub mod render;
pub mod scene;
pub mod self_test;
pub mod train;

pub use camera::{Camera, Pinhole, Pose};
pub use dataset::{Dataset, DatasetOptions};
pub use error::Error;
pub use events::{CancelToken, Event};
pub use gaussians::GaussianCloud;
pub use gpu::{AdapterReport, Gpu, GpuOptions};
pub use lens::{Lens, LensModel};
pub use nerfstudio::NerfstudioSource;
pub use render::{
    Frame, FrameGradient, FrameImage, GaussianBuffers, GaussianGradients, RenderOptions, Renderer,
};
pub use scene::{Scene, SceneSource, SeedPoint, View};

/// Result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A file or folder of the shared test data, or `None` (said on stderr) where it is not installed.
///
/// # Panics
/// In CI, where it must be there.
#[cfg(test)]
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub(crate) fn test_data(name: &str) -> Option<std::path::PathBuf> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let root = std::env::var_os("SPLAT_TEST_DATA").unwrap_or_else(|| default.into());
    let path = std::path::Path::new(&root).join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "test data `{}` is missing", path.display());
    eprintln!("skipped: `{}` is missing; set SPLAT_TEST_DATA", path.display());
    None
}
