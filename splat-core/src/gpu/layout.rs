//! Host side of the structures and constants shared with kernels: `shaders/lib/types.wgsl`, `counters.wgsl`, `adam.wgsl`.
//!
//! A test parses the kernels and compares every offset and constant.

use std::mem::size_of;

use bytemuck::{Pod, Zeroable};

use crate::camera::Camera;
pub use crate::lens::LensUniform;
use crate::renderer_kind::RendererKind;

/// Tile width in pixels.
pub const TILE_WIDTH: u32 = 16;
/// Tile height in pixels.
pub const TILE_HEIGHT: u32 = 16;
/// Bytes of geometry per Gaussian.
pub const GEOMETRY_BYTES: u64 = size_of::<Gaussian>() as u64;
/// Floats of geometry per Gaussian.
pub const GEOMETRY_FLOATS: usize = size_of::<Gaussian>() / size_of::<f32>();
/// Bytes of a splat of EWA (`lib/splat_ewa.wgsl`).
pub const SPLAT_BYTES_EWA: u64 = 48;
/// Bytes of a splat of 3DGUT (`lib/splat_gut.wgsl`).
pub const SPLAT_BYTES_GUT: u64 = 112;
/// Floats of an intersection's gradient sums, EWA (`lib/slot_ewa.wgsl`).
pub const SLOT_FLOATS_EWA: u64 = 11;
/// Floats of an intersection's gradient sums, 3DGUT (`lib/slot_gut.wgsl`).
pub const SLOT_FLOATS_GUT: u64 = 16;
/// Floats of an intersection's gradient sums, 3DGUT with a rolling shutter (`lib/slot_rolling.wgsl`).
pub const SLOT_FLOATS_ROLLING: u64 = 25;
/// Floats per pixel of the gradient of its ray (`lib/response_rolling.wgsl`): direction, origin.
pub const RAY_GRADIENT_FLOATS: u64 = 6;
/// Elements per sort workgroup.
pub const SORT_BLOCK: u32 = 1024;
/// Elements per scan workgroup.
pub const SCAN_BLOCK: u32 = 1024;
/// Digits of a radix pass.
pub const SORT_DIGITS: u32 = 256;
/// Bit of [`Counters::place`]: splats are indexed by the Gaussian's rank within the slice.
pub const SPLATS_BY_RANK: u32 = 4;
/// Bit of [`Counters::place`]: no other slice is nearer.
pub const SLICE_NEAREST: u32 = 1;
/// Bit of [`Counters::place`]: no other slice is farther.
pub const SLICE_FARTHEST: u32 = 2;
/// Bytes between the counters of two depth slices: a multiple of the required alignment of binding offsets.
pub const COUNTERS_STRIDE: u64 = 256;
/// Pixels per invocation of the loss kernels.
pub const LOSS_RUN: u32 = 64;

/// Bytes of a splat: what `project` or `project_gut` writes per Gaussian.
pub(crate) const fn splat_bytes(renderer: RendererKind) -> u64 {
    match renderer {
        RendererKind::Ewa => SPLAT_BYTES_EWA,
        RendererKind::Gut => SPLAT_BYTES_GUT,
    }
}

/// `Gaussian` of `lib/types.wgsl`: the stored geometry of one Gaussian. Its gradient and its optimizer moments use the same layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Gaussian {
    /// Mean, in the units of the buffers' coordinate frame.
    pub mean: [f32; 3],
    /// Opacity before the sigmoid.
    pub opacity_logit: f32,
    /// Rotation w,x,y,z, of any length.
    pub quat: [f32; 4],
    /// Logarithms of the standard deviations along its axes.
    pub log_scale: [f32; 3],
    /// Variance added to all three axes when it is rendered (`lib/floor.wgsl`), units squared; 0 for none.
    pub scale_floor: f32,
}

impl Gaussian {
    /// Opacity, 0..1.
    #[must_use]
    pub fn opacity(&self) -> f32 {
        1.0 / (1.0 + (-self.opacity_logit).exp())
    }

    /// Standard deviation along its longest axis.
    #[must_use]
    pub fn largest_scale(&self) -> f32 {
        let [x, y, z] = self.log_scale;
        x.max(y).max(z).exp()
    }
}

/// Densify statistics that the optimizer accumulates per Gaussian between two densifications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct DensifyStatistic {
    /// Sum of the statistic over the views in which the Gaussian was visible.
    pub sum: f32,
    /// Number of those views.
    pub views: f32,
}

impl DensifyStatistic {
    /// Mean over those views; 0 if there were none.
    #[must_use]
    pub fn mean(&self) -> f32 {
        if self.views > 0.0 { self.sum / self.views } else { 0.0 }
    }
}

/// `GatherSource` of `gather.wgsl`: the origin of a Gaussian after a densification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct GatherSource {
    /// Index of the Gaussian before the densification.
    pub gid: u32,
    /// 1 if its optimizer moments are copied, 0 if they start at zero.
    pub keeps_moments: u32,
}

/// The Jacobian's slopes are clamped to the image plus this share of half the field of view (gsplat).
const SLOPE_MARGIN: f64 = 0.3;

/// `ViewUniform` of `lib/types.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct ViewUniform {
    /// Rows of the 3x4 matrix `cam_from_world`.
    pub cam_from_world: [[f32; 4]; 3],
    /// Camera position in the world.
    pub camera_centre: [f32; 4],
    /// Colour behind everything.
    pub background: [f32; 4],
    /// Focal lengths along x and y in pixels.
    pub focal_px: [f32; 2],
    /// Principal point in pixels.
    pub principal_px: [f32; 2],
    /// Lower limits of x/z and y/z in the Jacobian.
    pub slope_min: [f32; 2],
    /// Upper limits of x/z and y/z in the Jacobian.
    pub slope_max: [f32; 2],
    /// Width and height.
    pub image_size: [u32; 2],
    /// Tiles along x and y.
    pub tile_grid: [u32; 2],
    /// Near plane, world units.
    pub near_world: f32,
    /// Far plane, world units.
    pub far_world: f32,
    /// Number of Gaussians.
    pub gaussian_count: u32,
    /// SH coefficients stored per channel.
    pub sh_stride: u32,
    /// SH degree in use.
    pub sh_degree: u32,
    /// Intersections that fit in the buffers of one depth slice.
    pub isect_capacity: u32,
    /// 1 in the anti-aliased mode, else 0.
    pub antialiased: u32,
    /// Readout of a rolling shutter: bit 0 if its lines are columns, bit 1 if the last line is read first.
    pub shutter: u32,
}

impl ViewUniform {
    /// Fills in the camera; counts and modes stay 0 for the caller to set.
    #[must_use]
    pub fn from_camera(camera: &Camera, background: [f32; 3]) -> Self {
        let k = camera.intrinsics;
        let m = camera.cam_from_world.to_matrix();
        let row = |r: usize| {
            let row = m.row(r);
            [row.x as f32, row.y as f32, row.z as f32, row.w as f32]
        };
        let centre = camera.cam_from_world.centre();
        let slopes = |focal: f64, principal: f64, size: u32| {
            let size = f64::from(size);
            let margin = SLOPE_MARGIN * 0.5 * size / focal;
            ((-principal / focal - margin) as f32, ((size - principal) / focal + margin) as f32)
        };
        let (x_min, x_max) = slopes(k.fx, k.cx, k.width);
        let (y_min, y_max) = slopes(k.fy, k.cy, k.height);
        Self {
            cam_from_world: [row(0), row(1), row(2)],
            camera_centre: [centre.x as f32, centre.y as f32, centre.z as f32, 0.0],
            background: [background[0], background[1], background[2], 0.0],
            focal_px: [k.fx as f32, k.fy as f32],
            principal_px: [k.cx as f32, k.cy as f32],
            slope_min: [x_min, y_min],
            slope_max: [x_max, y_max],
            image_size: [k.width, k.height],
            tile_grid: [k.width.div_ceil(TILE_WIDTH), k.height.div_ceil(TILE_HEIGHT)],
            near_world: 0.01,
            far_world: 1e10,
            ..Self::zeroed()
        }
    }

    /// Tiles in the image.
    #[must_use]
    pub fn tile_count(&self) -> u32 {
        self.tile_grid[0] * self.tile_grid[1]
    }

    /// Pixels in the image.
    #[must_use]
    pub fn pixel_count(&self) -> u32 {
        self.image_size[0] * self.image_size[1]
    }
}

/// `TrainUniform` of `lib/adam.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct TrainUniform {
    /// Learning rate of the means, world units.
    pub rate_mean: f32,
    /// Learning rate of the opacity logits.
    pub rate_opacity: f32,
    /// Learning rate of the quaternions.
    pub rate_quat: f32,
    /// Learning rate of the log-scales.
    pub rate_scale: f32,
    /// Learning rate of the SH constant term.
    pub rate_sh_constant: f32,
    /// Learning rate of the other SH terms.
    pub rate_sh_rest: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Adam's epsilon.
    pub epsilon: f32,
    /// `1 - beta1^t`.
    pub correction1: f32,
    /// `sqrt(1 - beta2^t)`.
    pub correction2_sqrt: f32,
    /// Weight of each opacity in the loss (MCMC).
    pub opacity_regularizer: f32,
    /// Weight of each scale in the loss (MCMC).
    pub scale_regularizer: f32,
    /// Scale of the noise added to means (MCMC); 0 for none.
    pub noise_scale: f32,
    /// Step, from 0.
    pub step: u32,
    /// The run's seed.
    pub seed: u32,
    /// Pixels of the loss image.
    pub image_pixels: u32,
    /// Weight of `1 - SSIM` in the loss.
    pub ssim_weight: f32,
    /// 0: the photo's alpha is a mask; 1: transparency.
    pub alpha_mode: u32,
    /// `1 / n` for the n-th state that joins the mean of the last states; 0: this step's does not join.
    pub average_weight: f32,
    /// Factors on the render before it is compared with the photo: red, green, blue.
    pub gain: [f32; 3],
    /// [`crate::Exposure::vignette`] of the photo.
    pub vignette: f32,
}

/// `Counters` of `lib/counters.wgsl`, one per depth slice; fields that concern the whole view are marked there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Counters {
    /// Number of Gaussians; written by the host.
    pub gaussians: u32,
    /// Number of the slice's intersections.
    pub isects: u32,
    /// Number of the view's intersections, whether they fit or not.
    pub isects_needed: u32,
    /// Non-zero if a view's intersections did not fit.
    pub overflowed: u32,
    /// Rank of the slice's first Gaussian, from near to far.
    pub first_rank: u32,
    /// One past the rank of its last Gaussian.
    pub end_rank: u32,
    /// Number of intersections in all nearer slices.
    pub first_isect: u32,
    /// [`SLICE_NEAREST`], [`SLICE_FARTHEST`] and [`SPLATS_BY_RANK`]; written by the host.
    pub place: u32,
    /// Indirect dispatch of a sort pass over the intersections.
    pub sort_groups: [u32; 4],
    /// Indirect dispatch of one invocation per intersection.
    pub isect_groups: [u32; 4],
    /// Indirect dispatch of a scan over that sort's table.
    pub scan_groups: [u32; 4],
}

/// `Chunk` of `lib/chunk.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct ChunkUniform {
    /// Id of the first Gaussian.
    pub first: u32,
    /// Number of Gaussians.
    pub count: u32,
}

/// `PhotoView` of `photo_limits.wgsl`: a training photo as a sampler of the scene, in the run's frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct PhotoView {
    /// Rows of the 3x4 matrix `cam_from_world`.
    pub cam_from_world: [[f32; 4]; 3],
    /// Parameters of its lens; their meaning depends on the family of camera models.
    pub lens: LensUniform,
    /// Width and height in pixels.
    pub size_px: [f32; 2],
    /// Pixels per radian near the axis.
    pub focal_px: f32,
    /// Lower bound of distances in the photo, units of the run's frame; 0 if unknown.
    pub nearest: f32,
}

/// `PhotoLimitsUniform` of `photo_limits.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct PhotoLimitsUniform {
    /// Number of Gaussians of the chunk.
    pub count: u32,
    /// 1 if no family of camera models was dispatched before.
    pub is_first: u32,
    /// 1 if no family follows.
    pub is_last: u32,
    /// Near plane, units of the run's frame.
    pub near: f32,
    /// Maximum opacity logit of Gaussians that stand before everything that one of the photos shows.
    pub veil_logit: f32,
    /// Floor as a variance, square pixels; 0: floors are kept.
    pub floor_px2: f32,
    /// Margin around a photo within which a Gaussian counts as visible for its floor, relative to the photo's size.
    pub margin: f32,
}

/// `Group` of `best_two.wgsl`: the work of one workgroup, in units of descriptors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct DescriptorGroup {
    /// First descriptor to compare.
    pub first: u32,
    /// Number of descriptors to compare.
    pub count: u32,
    /// First descriptor of the other photo.
    pub other_first: u32,
    /// Number of descriptors of the other photo.
    pub other_count: u32,
    /// Index of the first result.
    pub result: u32,
}

/// `StepReport` of `loss_total.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct StepReport {
    /// Loss of the view.
    pub loss: f32,
    /// Number of intersections of the view, whether they fit or not.
    pub isects_needed: u32,
    /// Non-zero if intersections overflowed and the step was skipped.
    pub overflowed: u32,
    /// Unused.
    pub padding: u32,
}
