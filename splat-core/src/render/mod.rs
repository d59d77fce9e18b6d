//! Rendering of 3-D Gaussians to an image, and its gradient.
//!
//! | stage | reads | writes |
//! | --- | --- | --- |
//! | project | [`GaussianBuffers`], [`Camera`](crate::Camera) | splats, depth keys |
//! | sort by depth | depth keys | order, near to far |
//! | tile_count, scan, tile_emit | splats, order | (tile, emission index) pairs |
//! | sort by tile, tile_ranges | pairs | a list per tile |
//! | rasterize | lists, splats | [`Frame`] |
//! | rasterize_backward | image gradient, lists | sums per intersection |
//! | project_backward, direction_backward | those sums | [`GaussianGradients`] |
//!
//! There are two renderers, [`RendererKind`]: EWA and 3DGUT. They differ in the `project` kernels and in the forms of some files in
//! `shaders/lib` that `gpu/shaders.rs` chooses: splat, slot, response, tiles, extent and rays. Everything else is shared.
//!
//! Start at [`Renderer::render`]. Slow f64 twins are in `reference`.

pub(crate) mod backward;
pub(crate) mod capacity;
pub(crate) mod chunks;
pub(crate) mod forward;
mod frame;
pub(crate) mod gaussian_buffers;
mod gradients;
mod live;
mod points;
pub(crate) mod rays;
pub(crate) mod sort;
mod view_inputs;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use glam::DVec3;

pub(crate) use capacity::{grown, isects_per_slice, with_margin};
pub(crate) use frame::frame_image;
pub use frame::{Frame, FrameImage};
pub use gaussian_buffers::GaussianBuffers;
pub use gradients::{FrameGradient, GaussianGradients, ShutterGradients};
pub use live::FRAMES_PER_SUBMISSION;
pub use points::project_points;
pub(crate) use view_inputs::{ViewInputs, optics_of};

use crate::camera::LensCamera;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{
    Counters, GEOMETRY_BYTES, Gaussian, RAY_GRADIENT_FLOATS, SLOT_FLOATS_ROLLING, ViewUniform,
};
use crate::gpu::profile::{Pass, Timer};
use crate::gpu::shaders::{self, Switches};
pub use crate::renderer_kind::RendererKind;
use crate::shutter::RollingShutter;
use crate::{Error, Result};
use backward::{BackwardKernels, BackwardPass, COLOR_BYTES};
use capacity::{Capacity, FIRST_ISECTS};
use chunks::Chunks;
use forward::{ForwardKernels, ForwardPass};
use rays::RayTables;

/// Maximum image side: coordinates are exact to a hundredth of a pixel in f32.
pub const MAX_IMAGE_SIDE: u32 = 16_384;
/// Default of [`RenderOptions::near`], world units.
pub const DEFAULT_NEAR: f32 = 0.01;

/// Options of rendering a view.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RenderOptions {
    /// Colour behind everything, 0..1.
    pub background: [f32; 3],
    /// Compensate opacities for the 2-D low-pass filter (Mip-Splatting's 2-D filter). EWA only: 3DGUT has no such filter.
    pub antialiased: bool,
    /// SH degree to use, if less than the stored one.
    pub sh_degree: Option<u32>,
    /// Near plane, world units: Gaussians nearer to the camera are not drawn. A scene in small units needs less than the default,
    /// 0.01 (gsplat's); [`crate::formats::SplatScene::near`] is the value that a scene was trained with.
    pub near: f32,
    /// World coordinates of the Gaussians' origin. Scenes in survey coordinates have one, since f32 lacks the precision; see
    /// [`crate::formats::SplatScene::origin`]. Cameras are in world coordinates.
    pub origin: [f64; 3],
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            background: [0.0; 3],
            antialiased: false,
            sh_degree: None,
            near: DEFAULT_NEAR,
            origin: [0.0; 3],
        }
    }
}

/// Renders Gaussians, and computes gradients with respect to them.
#[derive(Debug)]
pub struct Renderer {
    gpu: Gpu,
    forward: ForwardKernels,
    backward: BackwardKernels,
    sh_gradient: [Kernel; 3],
    rays: RayTables,
    isects_hint: AtomicU32,
    live: live::Live,
}

impl Renderer {
    /// Creates a renderer. Kernels are compiled on first use.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn new(gpu: &Gpu, kind: RendererKind) -> Result<Self> {
        let switches = Switches { depth: true, pose: true, renderer: kind, ..Switches::default() };
        let renderer = Self {
            gpu: gpu.clone(),
            forward: ForwardKernels::new(gpu, switches),
            backward: BackwardKernels::new(gpu, switches),
            sh_gradient: [0.0, 1.0, 2.0]
                .map(|c| Kernel::new(gpu, shaders::SH_GRADIENT, switches, &[("CHANNEL", c)])),
            rays: RayTables::default(),
            isects_hint: AtomicU32::new(FIRST_ISECTS),
            live: live::Live::default(),
        };
        gpu.check()?;
        Ok(renderer)
    }

    /// The device used for rendering.
    #[must_use]
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Renders one view, through a pinhole ([`Camera`](crate::Camera)) or a lens of any model ([`LensCamera`]). The rays of a lens are
    /// computed when it is first used, and cached.
    ///
    /// # Errors
    /// [`Error::ImageSize`] for an empty or too large image; [`Error::BindingTooLarge`] if the view needs more memory than a
    /// binding allows; [`Error::InvalidLens`]; [`Error::NeedsGut`] and [`Error::RollingNeedsGut`] if an [`RendererKind::Ewa`]
    /// renderer gets anything other than a pinhole with a global shutter; errors of the device.
    pub fn render(
        &self,
        gaussians: &GaussianBuffers,
        camera: &(impl Clone + Into<LensCamera>),
        options: &RenderOptions,
    ) -> Result<Frame> {
        self.render_timed(gaussians, &camera.clone().into(), options, &mut None)
    }

    /// As [`Renderer::render`], with timestamps around each kernel.
    fn render_timed(
        &self,
        gaussians: &GaussianBuffers,
        camera: &LensCamera,
        options: &RenderOptions,
        timer: &mut Option<Timer>,
    ) -> Result<Frame> {
        let (camera, inputs, mut view) = self.prepare(gaussians, camera, options)?;
        let switches = self.forward.switches.for_optics(inputs.optics);
        loop {
            let lines = inputs.lines.len() as u32;
            let chunks = Chunks::of(&self.gpu, gaussians, switches.renderer);
            let capacity = Capacity::without_room(view.pixel_count(), view.tile_count(), lines).with_room(
                self.isects_hint.load(Ordering::Relaxed),
                isects_per_slice(&self.gpu, switches),
                chunks,
            );
            view.isect_capacity = capacity.isects;
            let pass = ForwardPass::new(&self.gpu, &self.forward, gaussians, capacity, &[inputs.optics])?;
            pass.set_view(&self.gpu, &view, &inputs);
            self.gpu.submit("splat.render", |encoder| {
                pass.record_clear(encoder);
                pass.record_rays(encoder, inputs.table.as_deref());
                {
                    let mut compute = Pass::begin(encoder, timer.as_mut());
                    pass.record(&self.forward, &mut compute, &view, inputs.optics);
                }
                if let Some(timer) = timer {
                    timer.resolve(encoder);
                }
            });
            let counters: Vec<Counters> = self.gpu.read(&pass.counters, 1)?;
            let (needed, overflowed) = counters.first().map_or((0, 0), |c| (c.isects_needed, c.overflowed));
            if overflowed == 0 {
                let (gpu, optics) = (self.gpu.clone(), inputs.optics);
                let (shutter, lens) = (camera.rolling_shutter, camera.lens.clone());
                return Ok(Frame { gpu, view, optics, shutter, lens, pass });
            }
            self.isects_hint.store(grown(needed), Ordering::Relaxed);
        }
    }

    /// GPU time of each kernel of one forward and backward pass, by name, in milliseconds; empty if the device does not support
    /// timestamps inside passes. The gradient of the spherical harmonics is not timed.
    ///
    /// # Errors
    /// As [`Renderer::render`] and [`Renderer::backward`].
    pub fn profile(
        &self,
        gaussians: &GaussianBuffers,
        camera: &(impl Clone + Into<LensCamera>),
        options: &RenderOptions,
        gradient: &FrameGradient<'_>,
    ) -> Result<BTreeMap<&'static str, f64>> {
        let mut totals = BTreeMap::new();
        let mut timer = Timer::new(&self.gpu);
        let frame = self.render_timed(gaussians, &camera.clone().into(), options, &mut timer)?;
        if let Some(timer) = &mut timer {
            timer.collect(&self.gpu, &mut totals)?;
        }
        self.backward_timed(gaussians, &frame, gradient, &mut timer)?;
        if let Some(timer) = &mut timer {
            timer.collect(&self.gpu, &mut totals)?;
        }
        Ok(totals)
    }

    /// The camera in the Gaussians' coordinates, and the kernels' inputs; the caller sets `isect_capacity` of the uniform.
    fn prepare(
        &self,
        gaussians: &GaussianBuffers,
        camera: &LensCamera,
        options: &RenderOptions,
    ) -> Result<(LensCamera, ViewInputs, ViewUniform)> {
        let camera = camera.rebased(DVec3::from_array(options.origin), 1.0);
        let inputs = ViewInputs::new(
            &self.gpu,
            self.forward.switches.renderer,
            &self.rays,
            &camera,
            options.background,
        )?;
        let mut view = inputs.view;
        view.near_world = options.near;
        view.gaussian_count = gaussians.count;
        view.sh_stride = gaussians.sh_stride();
        view.sh_degree = options.sh_degree.unwrap_or(3).min(gaussians.sh_degree);
        view.antialiased = u32::from(options.antialiased);
        Ok((camera, inputs, view))
    }

    /// Computes the gradient with respect to every parameter and the camera pose from that of the image.
    ///
    /// `gaussians` must be the ones that `frame` was rendered from.
    ///
    /// # Errors
    /// [`Error::ImageSize`] if a gradient's length does not match the frame; errors of the device.
    ///
    /// # Source
    /// Kerbl et al. 2023 and gsplat (Ye et al. 2024); sums without atomics, so the same input gives the same
    /// bits.
    pub fn backward(
        &self,
        gaussians: &GaussianBuffers,
        frame: &Frame,
        gradient: &FrameGradient<'_>,
    ) -> Result<GaussianGradients> {
        self.backward_timed(gaussians, frame, gradient, &mut None)
    }

    /// As [`Renderer::backward`], with timestamps around each kernel up to the geometry's gradient.
    fn backward_timed(
        &self,
        gaussians: &GaussianBuffers,
        frame: &Frame,
        gradient: &FrameGradient<'_>,
        timer: &mut Option<Timer>,
    ) -> Result<GaussianGradients> {
        let pixels = frame.view.pixel_count() as usize;
        let lengths = [
            (gradient.v_rgb.len(), pixels * 3),
            (gradient.v_alpha.map_or(pixels, <[f32]>::len), pixels),
            (gradient.v_depth.map_or(pixels, <[f32]>::len), pixels),
        ];
        if lengths.iter().any(|(have, want)| have != want) || gaussians.count != frame.pass.count {
            return Err(Error::ImageSize {
                why: format!(
                    "the gradient's lengths are {lengths:?} (given, needed), and the frame was rendered from {} Gaussians where {} were given",
                    frame.pass.count, gaussians.count
                ),
            });
        }
        let gpu = &self.gpu;
        let pass = BackwardPass::new(gpu, &self.backward, gaussians, &frame.pass)?;
        let alpha = |i: usize| gradient.v_alpha.and_then(|v| v.get(i)).copied().unwrap_or(0.0);
        let v_frame: Vec<[f32; 4]> =
            gradient.v_rgb.chunks_exact(3).enumerate().map(|(i, v)| [v[0], v[1], v[2], alpha(i)]).collect();
        gpu.queue().write_buffer(&pass.v_frame, 0, bytemuck::cast_slice(&v_frame));
        if let Some(v_depth) = gradient.v_depth {
            gpu.queue().write_buffer(&pass.v_frame, (pixels * 16) as u64, bytemuck::cast_slice(v_depth));
        }
        let n = gaussians.count as usize;
        let k = gaussians.sh_stride() as usize;
        let v_sh = gpu.storage_in_parts("splat.v_sh", (n * k * 4) as u64)?;
        gpu.submit("splat.backward", |encoder| {
            {
                let mut compute = Pass::begin(encoder, timer.as_mut());
                pass.record(
                    (&self.forward, &self.backward),
                    &mut compute,
                    &frame.pass,
                    &frame.view,
                    frame.optics,
                );
            }
            if let Some(timer) = timer {
                timer.resolve(encoder);
            }
        });
        let geometry: Vec<Gaussian> = gpu.read(&pass.v_geometry, n)?;
        let like = gaussian_buffers::cloud_of(&geometry, gaussians.sh_degree);
        let mut sh_coeffs = vec![[0.0; 3]; n * k];
        for (channel, kernel) in self.sh_gradient.iter().enumerate() {
            gpu.submit("splat.sh_gradient", |encoder| {
                let mut compute = Pass::begin(encoder, None);
                for (chunk, uniform) in &frame.pass.chunks {
                    let parts = [
                        (&frame.pass.view).into(),
                        chunk.part(&gaussians.geometry, GEOMETRY_BYTES),
                        chunk.part(&pass.v_colors, COLOR_BYTES),
                        chunk.part(&v_sh, k as u64 * 4),
                        uniform.into(),
                    ];
                    kernel.dispatch_items(&mut compute, &kernel.bind(gpu, &parts), chunk.count);
                }
            });
            let plane: Vec<f32> = gpu.read(&v_sh, n * k)?;
            for (rgb, value) in sh_coeffs.iter_mut().zip(plane) {
                rgb[channel] = value;
            }
        }
        // Summed on the host in f64, in a fixed order.
        let mut cam_from_world = [0.0_f64; 12];
        for row in gpu.read::<f32>(&pass.v_pose, n * 12)?.chunks_exact(12) {
            for (sum, value) in cam_from_world.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        let mut shutter = None;
        if let Some(rolling) = frame.shutter {
            let v_middle = std::mem::take(&mut cam_from_world);
            shutter = Some(self.shutter_gradients(frame, &rolling, &pass, &v_middle)?);
        }
        Ok(GaussianGradients {
            means: like.means,
            quats: like.quats,
            log_scales: like.log_scales,
            opacity_logits: like.opacity_logits,
            sh_coeffs,
            cam_from_world,
            shutter,
        })
    }

    /// Converts the gradient of every pixel's ray, and that of the middle pose (through depth and colour), to those of the
    /// shutter's poses.
    fn shutter_gradients(
        &self,
        frame: &Frame,
        shutter: &RollingShutter,
        pass: &BackwardPass,
        v_middle: &[f64; 12],
    ) -> Result<ShutterGradients> {
        let floats = u64::from(frame.view.pixel_count()) * RAY_GRADIENT_FLOATS;
        let behind = u64::from(frame.pass.capacity.isects) * SLOT_FLOATS_ROLLING * 4;
        let copied = self.gpu.storage("splat.v_rays", floats * 4)?;
        self.gpu.submit("splat.v_rays", |encoder| {
            encoder.copy_buffer_to_buffer(&pass.slots, behind, &copied, 0, floats * 4);
        });
        let v_rays: Vec<f32> = self.gpu.read(&copied, floats as usize)?;
        Ok(rays::shutter_gradients(
            shutter,
            &frame.lens.try_projector()?,
            frame.view.image_size,
            &v_rays,
            v_middle,
        ))
    }
}

/// Rejects images that are empty or too large.
pub(crate) fn check_image_size(width: u32, height: u32) -> Result<()> {
    if (1..=MAX_IMAGE_SIDE).contains(&width) && (1..=MAX_IMAGE_SIDE).contains(&height) {
        return Ok(());
    }
    Err(Error::ImageSize {
        why: format!("{width}x{height} is outside 1x1 to {MAX_IMAGE_SIDE}x{MAX_IMAGE_SIDE}"),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tile_tests;
