//! Gaussian splatting on any GPU: differentiable rasterization and training in WGSL over wgpu.
//!
//! Reconstructs a cloud of Gaussians from posed photos, which can be rendered from new views. Kernels are WGSL and run wherever
//! wgpu does, including software Vulkan; the same seed on the same machine gives the same bits.
//!
//! # Train a scene
//!
//! ```no_run
//! use std::{path::Path, sync::Arc};
//! use splat_core::ply::{self, PlyOptions};
//! use splat_core::train::{TrainConfig, Trainer};
//! use splat_core::{CancelToken, Dataset, DatasetOptions, GaussianBuffers, Gpu, GpuOptions};
//! use splat_core::{NerfstudioSource, RenderOptions, Renderer, RendererKind, SceneSource};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gpu = Gpu::new(&GpuOptions::default())?;
//! let scene = NerfstudioSource::new(Path::new("dataset")).scene(&|event| println!("{event}"), &CancelToken::new())?;
//! let dataset = Arc::new(Dataset::new(scene, &DatasetOptions::default())?);
//! let mut trainer = Trainer::new(&gpu, Arc::clone(&dataset), TrainConfig { steps: 2000, ..Default::default() })?;
//! while trainer.steps_done() < 2000 {
//!     let report = trainer.step()?;
//!     println!("step {}: loss {}, {} Gaussians", report.step, report.loss, report.gaussians);
//! }
//! let cloud = trainer.cloud()?;
//! let buffers = GaussianBuffers::upload(&gpu, &cloud)?;
//! let renderer = Renderer::new(&gpu, RendererKind::Ewa)?;
//! let frame = renderer.render(&buffers, &dataset.camera(0), &RenderOptions::default())?;
//! frame.read()?.save_png(Path::new("view.png"))?;
//! ply::write(Path::new("scene.ply"), &cloud, &PlyOptions::default())?;
//! # Ok(()) }
//! ```
//!
//! The crate `splat-colmap` reads COLMAP's datasets and poses photos. [`pipeline::Pipeline`] runs all stages from photos to a scene,
//! with checkpoints, evaluation, events and cancellation.
//!
//! # The rasterizer alone
//!
//! Forward, then the gradients of any loss on the image with respect to every parameter and the camera's pose:
//!
//! ```no_run
//! use splat_core::{FrameGradient, GaussianBuffers, Gpu, GpuOptions, RenderOptions, Renderer, RendererKind};
//!
//! # use splat_core::{Camera, GaussianCloud};
//! # fn main() -> splat_core::Result<()> {
//! # let (cloud, camera): (GaussianCloud, Camera) = unimplemented!();
//! let gpu = Gpu::new(&GpuOptions::default())?;
//! let renderer = Renderer::new(&gpu, RendererKind::Ewa)?;
//! let buffers = GaussianBuffers::upload(&gpu, &cloud)?;
//! let frame = renderer.render(&buffers, &camera, &RenderOptions::default())?;
//! let image = frame.read()?;
//! // L = sum of squares of the image, so dL/d(rgb) = 2 rgb.
//! let v_rgb: Vec<f32> = image.rgb.iter().map(|c| 2.0 * c).collect();
//! let gradient = FrameGradient { v_rgb: &v_rgb, v_alpha: None, v_depth: None };
//! let gradients = renderer.backward(&buffers, &frame, &gradient)?;
//! println!("dL/d(mean of Gaussian 0) = {:?}", gradients.means[0]);
//! # Ok(()) }
//! ```
//!
//! [`train::Trainer::step_with`] trains with such a loss: the trainer renders, and updates every parameter with its optimizer.
//!
//! Complete programs are `examples/train.rs` of `splat-colmap` and, in this crate, `examples/own_loss.rs`, which trains with a custom
//! loss on the host and on the GPU, `examples/in_my_app.rs`, which renders with an existing wgpu device, and `examples/viewer.rs`, which
//! shows a scene in a window. Conventions are COLMAP's: see [`camera`]. The GPU is opened synchronously; [`Gpu::new_async`] is for
//! callers that run an executor.
//!
//! # Layers
//!
//! Modules import only from their own layer and from lower ones, which a test checks.
//!
//! | layer | modules |
//! | --- | --- |
//! | pipeline | [`pipeline`] |
//! | train | [`train`] |
//! | render | [`render`], [`self_test`], `reference` |
//! | gpu | [`gpu`] |
//! | scene | all others: cameras, photos, datasets, clouds of Gaussians and their formats, metrics, events |
//!
//! The scene layer does not need wgpu; without the default feature `gpu`, it is the whole crate. The feature `testing` makes public what
//! tests of the kernels need: their sources, the memory they share with the host, and their f64 twins, `reference`.

pub mod camera;
pub mod child;
pub mod content;
pub mod dataset;
pub mod descriptors;
pub mod error;
pub mod events;
pub mod exposure;
pub mod files;
pub mod flight;
pub mod folder_lock;
pub mod formats;
pub mod gaussians;
#[cfg(feature = "gpu")]
pub mod gpu;
pub mod images;
pub mod lens;
pub mod machine;
pub mod metrics;
pub mod nerfstudio;
pub mod photo_names;
#[cfg(feature = "gpu")]
pub mod pipeline;
pub mod placement;
pub mod plain;
mod pose;
pub mod random;
#[cfg(feature = "testing")]
pub mod reference;
#[cfg(all(feature = "gpu", not(feature = "testing")))]
#[allow(
    unreachable_pub,
    unused_imports,
    dead_code,
    reason = "public with the feature `testing`; the self-test needs half of it"
)]
mod reference;
#[cfg(feature = "gpu")]
pub mod render;
mod renderer_kind;
pub mod scene;
#[cfg(feature = "gpu")]
mod search;
#[cfg(feature = "gpu")]
pub mod self_test;
#[cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, reason = "public through `reference` with the feature `testing`")
)]
mod sh;
pub mod shutter;
pub mod text;
pub mod text_file;
#[cfg(feature = "gpu")]
pub mod train;
mod words;

pub use camera::{Camera, LensCamera, Pinhole, Pose};
pub use content::Content;
pub use dataset::{Dataset, DatasetOptions};
pub use error::Error;
pub use events::{CancelToken, Event};
pub use exposure::Exposure;
pub use formats::ply;
pub use gaussians::GaussianCloud;
#[cfg(feature = "gpu")]
pub use gpu::{AdapterReport, Backend, Gpu, GpuOptions};
pub use lens::{Lens, LensModel};
pub use nerfstudio::NerfstudioSource;
pub use placement::{LeftOut, LeftOutReason, OtherModel, Placement, SecondTry};
#[cfg(feature = "gpu")]
pub use render::{
    Frame, FrameGradient, FrameImage, GaussianBuffers, GaussianGradients, RenderOptions, Renderer,
    ShutterGradients,
};
pub use renderer_kind::RendererKind;
pub use scene::{Scene, SceneSource, SeedPoint, View};
pub use shutter::{RollingShutter, ShutterDirection};

/// Re-export of the wgpu version that this crate uses, for programs that share a device with it; see [`Gpu::from_device`].
#[cfg(feature = "gpu")]
pub use wgpu;

/// Result of this crate's fallible functions.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Path of a file or folder of the shared test data; the test needs `#[needs(name)]`.
///
/// # Panics
/// If it is missing.
#[cfg(test)]
pub(crate) fn test_data(name: &str) -> std::path::PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let root = std::env::var_os("SPLAT_TEST_DATA").unwrap_or_else(|| default.into());
    let path = std::path::Path::new(&root).join(name);
    assert!(path.exists(), "test data `{}` is missing; set SPLAT_TEST_DATA", path.display());
    path
}
