//! Host side of the structures that kernels share with it: `shaders/lib/types.wgsl`, `counters.wgsl`, `adam.wgsl`.
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
/// Floats one intersection of EWA hands back (`lib/slot_ewa.wgsl`).
pub const SLOT_FLOATS_EWA: u64 = 11;
/// Floats one intersection of 3DGUT hands back (`lib/slot_gut.wgsl`).
pub const SLOT_FLOATS_GUT: u64 = 16;
/// The same with a rolling shutter (`lib/slot_rolling.wgsl`).
pub const SLOT_FLOATS_ROLLING: u64 = 25;
/// Floats per pixel of the gradient of its ray (`lib/response_rolling.wgsl`): direction, origin.
pub const RAY_GRADIENT_FLOATS: u64 = 6;
/// Elements per sort workgroup.
pub const SORT_BLOCK: u32 = 1024;
/// Elements per scan workgroup.
pub const SCAN_BLOCK: u32 = 1024;
/// Digits of a radix pass.
pub const SORT_DIGITS: u32 = 256;
/// Pixels per invocation of the loss kernels.
pub const LOSS_RUN: u32 = 64;

/// Bytes of a Gaussian's splat: what `project` writes of it for one view.
pub(crate) const fn splat_bytes(renderer: RendererKind) -> u64 {
    match renderer {
        RendererKind::Ewa => SPLAT_BYTES_EWA,
        RendererKind::Gut => SPLAT_BYTES_GUT,
    }
}

/// `Gaussian` of `lib/types.wgsl`: one Gaussian's geometry as it is stored. Its gradient and its optimizer's moments have the
/// same form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Gaussian {
    /// Mean, units of the buffers' frame.
    pub mean: [f32; 3],
    /// Opacity before the sigmoid.
    pub opacity_logit: f32,
    /// Rotation w,x,y,z, of any length.
    pub quat: [f32; 4],
    /// Logarithms of the standard deviations along its axes.
    pub log_scale: [f32; 3],
    /// Variance that all three axes gain when it is drawn (`lib/floor.wgsl`), units squared; 0 for none.
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

/// What the optimizer adds up of a Gaussian between two densifications.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct DensifyStatistic {
    /// Sum of the densify statistic over the views that saw it.
    pub sum: f32,
    /// How many these were.
    pub views: f32,
}

impl DensifyStatistic {
    /// Mean over the views that saw it; 0 where none did.
    #[must_use]
    pub fn mean(&self) -> f32 {
        if self.views > 0.0 { self.sum / self.views } else { 0.0 }
    }
}

/// `GatherSource` of `gather.wgsl`: where a new Gaussian comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct GatherSource {
    /// Its id among the old ones.
    pub gid: u32,
    /// 1 if its moments are copied, 0 if they start at zero.
    pub keeps_moments: u32,
}

/// The Jacobian's slopes are held to this share of the half field of view beyond the image (gsplat).
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
    /// Nearer Gaussians are not drawn.
    pub near_world: f32,
    /// Farther Gaussians are not drawn.
    pub far_world: f32,
    /// Gaussians in the buffers.
    pub gaussian_count: u32,
    /// SH coefficients stored per channel.
    pub sh_stride: u32,
    /// SH degree in use.
    pub sh_degree: u32,
    /// Intersections that the buffers hold.
    pub isect_capacity: u32,
    /// 1 for the anti-aliased mode.
    pub antialiased: u32,
    /// Order in which a rolling shutter reads lines: 1 if they are columns, 2 more if the last comes first.
    pub shutter: u32,
}

impl ViewUniform {
    /// The camera's part; counts and modes are left 0 for the caller.
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
    /// Of the opacity logits.
    pub rate_opacity: f32,
    /// Of the quaternions.
    pub rate_quat: f32,
    /// Of the log-scales.
    pub rate_scale: f32,
    /// Of the SH constant term.
    pub rate_sh_constant: f32,
    /// Of the other SH terms.
    pub rate_sh_rest: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root of the second moment.
    pub epsilon: f32,
    /// `1 - beta1^t`.
    pub correction1: f32,
    /// `sqrt(1 - beta2^t)`.
    pub correction2_sqrt: f32,
    /// Weight of an opacity in the loss.
    pub opacity_regularizer: f32,
    /// Weight of a scale in the loss.
    pub scale_regularizer: f32,
    /// Length of the random walk (MCMC).
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
    /// One over how many states the mean of the last ones holds with this step's; 0: it does not join.
    pub average_weight: f32,
    /// What the render is multiplied by before it is compared with the photo: red, green, blue.
    pub gain: [f32; 3],
    /// Unused.
    pub padding: u32,
}

/// `Counters` of `lib/counters.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Counters {
    /// Number of Gaussians, set by the host.
    pub gaussians: u32,
    /// Intersections that fit.
    pub isects: u32,
    /// Intersections needed.
    pub isects_needed: u32,
    /// Whether a view did not fit.
    pub overflowed: u32,
    /// Indirect dispatch of a sort pass over the intersections.
    pub sort_groups: [u32; 4],
    /// Indirect dispatch of one invocation per intersection.
    pub isect_groups: [u32; 4],
    /// Indirect dispatch of a scan over that sort's table.
    pub scan_groups: [u32; 4],
}

/// `StepReport` of `loss_total.wgsl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct StepReport {
    /// Loss of the view.
    pub loss: f32,
    /// Intersections needed so far.
    pub isects_needed: u32,
    /// Non-zero if intersections overflowed and the step was skipped.
    pub overflowed: u32,
    /// Unused.
    pub padding: u32,
}
