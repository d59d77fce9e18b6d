//! Memory needed by a training run, and the number of Gaussians that fit.

use super::loss::Loss;
use super::optimizer::Moments;
use crate::Result;
use crate::dataset::Dataset;
use crate::gpu::AdapterReport;
use crate::gpu::layout::{GEOMETRY_BYTES, TILE_HEIGHT, TILE_WIDTH, splat_bytes};
use crate::gpu::shaders::{CameraModule, Switches};
use crate::render::backward::BackwardPass;
use crate::render::capacity::Capacity;
use crate::render::chunks::Chunks;
use crate::render::{GaussianBuffers, RendererKind, check_image_size};
use crate::search::largest_that_fits;

/// Photo pixels per Gaussian that can be resolved: each surface is in several photos, and a Gaussian of SH degree 3 has 59
/// parameters where a pixel has three values.
pub(super) const PIXELS_PER_GAUSSIAN: u64 = 64;
/// Smallest default cap.
const FEWEST_GAUSSIANS: u64 = 100_000;
/// Mean number of tiles per Gaussian early in training, when they are largest, on the scenes measured.
const ISECTS_PER_GAUSSIAN: u64 = 16;
/// Bytes per pixel of staging memory: photos of the steps in flight, and a frame read back. The driver frees them with a delay
/// of some steps.
const TRANSFER_BYTES_PER_PIXEL: u64 = 64;
/// Bytes per Gaussian of the largest buffer that is bound as a whole: the ranges of slots.
pub(super) const ORDER_BYTES: u64 = 8;
/// Share of the available memory that training may use.
const USABLE_SHARE: f64 = 0.6;
/// Memory assumed if the system does not report it.
const ASSUMED_BYTES: u64 = 8 << 30;

/// Memory of a training run, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MemoryPrediction {
    /// Parameters and optimizer moments, twice: a densification that needs larger buffers copies them.
    pub gaussians_bytes: u64,
    /// Working buffers of a step, including what their replacement takes meanwhile.
    pub working_bytes: u64,
    /// Sum of both, bytes.
    pub total_bytes: u64,
}

/// The properties of a run, besides its number of Gaussians, that determine its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Width of the largest image, pixels.
    pub width: u32,
    /// Height of the largest image, pixels.
    pub height: u32,
    /// SH degree of the colours.
    pub sh_degree: u32,
    /// The renderer.
    pub renderer: RendererKind,
    /// Whether a photo keeps the motion of its rolling shutter.
    pub rolling_shutter: bool,
    /// Number of Gaussians that the photos can resolve: one per 64 of all their pixels, but at least the scene's number of points and
    /// at least 100,000.
    pub useful_gaussians: u32,
}

fn useful_gaussians(dataset: &Dataset) -> u32 {
    // Four bytes per pixel.
    let by_pixels = dataset.image_bytes() / 4 / PIXELS_PER_GAUSSIAN;
    let most = by_pixels.max(dataset.scene.points.len() as u64).max(FEWEST_GAUSSIANS);
    u32::try_from(most).unwrap_or(u32::MAX)
}

impl Workload {
    /// The workload of a dataset; `renderer` `None`: the one that [`Dataset::fitting_renderer`] chooses.
    ///
    /// # Errors
    /// [`crate::Error::View`] or another error for an image that is too large to render.
    pub fn of(dataset: &Dataset, sh_degree: u32, renderer: Option<RendererKind>) -> Result<Self> {
        let (mut width, mut height) = (1, 1);
        for view in 0..dataset.scene.views.len() {
            let k = dataset.pinhole_camera(view).intrinsics;
            check_image_size(k.width, k.height)?;
            (width, height) = (width.max(k.width), height.max(k.height));
        }
        Ok(Self {
            width,
            height,
            sh_degree,
            renderer: renderer.unwrap_or_else(|| dataset.fitting_renderer()),
            rolling_shutter: dataset.keeps_rolling_shutter(),
            useful_gaussians: useful_gaussians(dataset),
        })
    }

    fn switches(&self) -> Switches {
        // With 3DGUT a lens may need a ray table: one more accounts for the cached ones.
        let camera = match self.renderer {
            RendererKind::Ewa => CameraModule::Pinhole,
            RendererKind::Gut => CameraModule::Perspective,
        };
        let rolling = self.rolling_shutter && self.renderer == RendererKind::Gut;
        // Poses are watched at least, unless they are fixed; with a rolling shutter they always are.
        let pose = !rolling;
        Switches { pose, renderer: self.renderer, camera, rolling, ..Switches::default() }
    }

    /// Predicts the memory of training with `gaussians` Gaussians. Where a device's bindings are small, working buffers may take less:
    /// they are divided into depth slices.
    #[must_use]
    pub fn predict(&self, gaussians: u32) -> MemoryPrediction {
        self.predict_within(gaussians, u64::MAX)
    }

    /// As [`Workload::predict`], on a device whose bindings hold that many bytes.
    fn predict_within(&self, gaussians: u32, binding_bytes: u64) -> MemoryPrediction {
        let Self { width, height, sh_degree, .. } = *self;
        let switches = self.switches();
        let n = u64::from(gaussians);
        let pixels = u64::from(width) * u64::from(height);
        let whole = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let tiles = width.div_ceil(TILE_WIDTH).saturating_mul(height.div_ceil(TILE_HEIGHT));
        let lines = if switches.rolling { width.max(height) } else { 0 };
        let capacity = Capacity::without_room(whole(pixels), tiles, lines).with_room(
            whole((n * ISECTS_PER_GAUSSIAN).max(1 << 16)),
            whole(binding_bytes / (4 * switches.slot_floats())),
            Chunks::within(binding_bytes, gaussians, self.largest_record()),
        );
        let per_gaussian =
            GaussianBuffers::bytes_per_gaussian(sh_degree) + Moments::bytes_per_gaussian(sh_degree);
        let gaussians_bytes = 2 * n * per_gaussian;
        let working_bytes = 2
            * (capacity.forward_bytes(n, switches)
                + BackwardPass::bytes(n, &capacity, switches)
                + Loss::bytes(pixels))
            + pixels * TRANSFER_BYTES_PER_PIXEL;
        MemoryPrediction { gaussians_bytes, working_bytes, total_bytes: gaussians_bytes + working_bytes }
    }

    /// The default cap on the number of Gaussians: what is useful, but no more than fits; see [`Workload::most_gaussians`].
    ///
    /// On large GPUs memory alone does not limit it: on an H100 a run on 42 photos of 480x360 grew to 1.7 million Gaussians within
    /// 12,000 steps.
    #[must_use]
    pub fn default_gaussians(&self, report: &AdapterReport, memory_bytes: Option<u64>) -> u32 {
        self.most_gaussians(report, memory_bytes).min(self.useful_gaussians.max(1))
    }

    /// Bytes of the largest record that a Gaussian has in one buffer.
    fn largest_record(&self) -> u64 {
        let sh_bytes = 4 * u64::from((self.sh_degree + 1).pow(2));
        GEOMETRY_BYTES.max(sh_bytes).max(splat_bytes(self.renderer))
    }

    /// Maximum number of Gaussians that fit `memory_bytes` (`None`: unknown) and this adapter's buffers.
    #[must_use]
    pub fn most_gaussians(&self, report: &AdapterReport, memory_bytes: Option<u64>) -> u32 {
        let usable = (memory_bytes.unwrap_or(ASSUMED_BYTES) as f64 * USABLE_SHARE) as u64;
        // Larger records are bound in chunks, but the buffers by which Gaussians are ordered as a whole.
        let per_buffer = report.max_buffer_bytes / self.largest_record();
        let most =
            per_buffer.min(report.max_binding_bytes / ORDER_BYTES).clamp(1, u64::from(u32::MAX)) as u32;
        let needed = |count| self.predict_within(count, report.max_binding_bytes).total_bytes;
        largest_that_fits(1, most, |count| needed(count) <= usable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::LaneSums;

    #[test]
    fn the_default_cap_is_what_photos_tell_apart_or_what_fits() {
        let report = AdapterReport {
            name: String::new(),
            driver: String::new(),
            driver_info: String::new(),
            backend: String::new(),
            device_type: String::new(),
            subgroup_min: 32,
            subgroup_max: 32,
            lane_sums: LaneSums::Subgroup,
            lanes: 32,
            max_binding_bytes: 2 << 30,
            max_buffer_bytes: 4 << 30,
            timestamps: false,
        };
        let workload = Workload {
            width: 480,
            height: 360,
            sh_degree: 3,
            renderer: RendererKind::Ewa,
            rolling_shutter: false,
            useful_gaussians: 113_400,
        };
        assert_eq!(workload.default_gaussians(&report, Some(120 << 30)), 113_400);
        let small = workload.default_gaussians(&report, Some(256 << 20));
        assert!(small < 113_400 && small == workload.most_gaussians(&report, Some(256 << 20)), "{small}");
        let nothing_to_see = Workload { useful_gaussians: 0, ..workload };
        assert_eq!(nothing_to_see.default_gaussians(&report, Some(120 << 30)), 1);
    }
}
