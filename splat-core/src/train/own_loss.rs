//! Training with a custom loss: the trainer renders, takes the loss's gradient, and updates every parameter.
//!
//! Start at [`Trainer::step_with`], or at [`Trainer::step_with_buffers`] for a loss on the GPU.

use std::mem::offset_of;
use std::sync::Arc;

use super::trainer::{StepReport, Trainer};
use crate::gpu::Gpu;
use crate::gpu::layout::{Counters, StepReport as GpuReport, ViewUniform};
use crate::images::PackedImage;
use crate::render::{FrameImage, frame_image};
use crate::{Error, Exposure, Result};

/// The view of a training step.
#[derive(Clone, Debug)]
pub struct StepView {
    /// Index of the view in the dataset's scene.
    pub index: usize,
    /// Its photo, at the image size of the step; [`crate::train::TrainConfig::alpha_mode`] gives the meaning of alpha.
    pub photo: Arc<PackedImage>,
    /// Background colour in this step, 0..1.
    pub background: [f32; 3],
    /// Exposure of the photo relative to the scene: the built-in loss compares the photo with the render times this.
    pub exposure: Exposure,
}

/// A loss and its gradient, on the host.
#[derive(Clone, Debug, Default)]
pub struct ImageLoss {
    /// The loss, reported as [`StepReport::loss`] and not used otherwise.
    pub loss: f32,
    /// dL/d(rgb) `[H*W*3]`.
    pub v_rgb: Vec<f32>,
    /// dL/d(alpha) `[H*W]`, alpha being the opacity; `None`: 0.
    pub v_alpha: Option<Vec<f32>>,
}

/// Input and output of a custom loss on the GPU. Buffers are sized for the largest photo of the dataset: only the first H*W
/// elements, in row-major order, belong to this step. All of them are storage buffers that can be copied from and to.
#[derive(Debug)]
pub struct StepBuffers<'a> {
    /// The view.
    pub view: &'a StepView,
    /// The render `[H*W]` `vec4f`: colour over the background, and transmittance (1 - alpha).
    pub frame: &'a wgpu::Buffer,
    /// The photo `[H*W]` `u32`, RGBA8 with red in the low byte.
    pub photo: &'a wgpu::Buffer,
    /// Output `[H*W]` `vec4f`, all elements: dL/d(rgb) and dL/d(alpha).
    pub v_frame: &'a wgpu::Buffer,
    /// Output: the loss, one `f32`, reported as [`StepReport::loss`] and not used otherwise.
    pub loss: &'a wgpu::Buffer,
    pub(super) uniforms: &'a ViewUniform,
    pub(super) counters: &'a wgpu::Buffer,
}

/// Records the computation of a frame's gradient.
pub(super) type OwnLoss<'a> = dyn FnMut(&mut wgpu::CommandEncoder, &StepBuffers<'_>) -> Result<()> + 'a;

impl Trainer {
    /// As [`Trainer::step`] with another loss, computed on the host from the render and the photo. The render has no depth. If
    /// intersections overflow, the step is run again, but the loss is called only once.
    ///
    /// The regularizers of [`crate::train::DensifyConfig`] apply; [`crate::train::TrainConfig::ssim_weight`] does not.
    ///
    /// # Errors
    /// [`Error::ImageSize`] for a gradient whose length does not match the image, and as [`Trainer::step`].
    pub fn step_with(
        &mut self,
        mut loss: impl FnMut(&FrameImage, &StepView) -> ImageLoss,
    ) -> Result<StepReport> {
        let gpu = self.gpu.clone();
        self.step_with_own(&mut |encoder, buffers| {
            // The frame must be rendered before the host can read it.
            let next = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            gpu.queue().submit([std::mem::replace(encoder, next).finish()]);
            let counters: Vec<Counters> = gpu.read(buffers.counters, 1)?;
            if counters.iter().any(|counters| counters.overflowed != 0) {
                return Ok(());
            }
            let pixels = buffers.uniforms.pixel_count() as usize;
            let frame = gpu.read(buffers.frame, pixels)?;
            let found = loss(&frame_image(buffers.uniforms, &frame, Vec::new()), buffers.view);
            upload(&gpu, buffers, &found, pixels)
        })
    }

    /// As [`Trainer::step_with`] with a loss on the GPU, which records its work into `encoder`: it reads [`StepBuffers::frame`]
    /// and [`StepBuffers::photo`] and writes [`StepBuffers::v_frame`] and [`StepBuffers::loss`]. No image data passes through the
    /// host, except for the upload of the photo.
    ///
    /// The loss is called again if the step is run again; the results of the first call are discarded.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn step_with_buffers(
        &mut self,
        mut loss: impl FnMut(&mut wgpu::CommandEncoder, &StepBuffers<'_>),
    ) -> Result<StepReport> {
        self.step_with_own(&mut |encoder, buffers| {
            loss(encoder, buffers);
            Ok(())
        })
    }

    /// Earlier steps may have to be run again, with their own loss; this step has completed on return.
    fn step_with_own(&mut self, loss: &mut OwnLoss<'_>) -> Result<StepReport> {
        self.flush()?;
        self.advance(Some(loss))
    }
}

/// Uploads a gradient that was computed on the host.
fn upload(gpu: &Gpu, buffers: &StepBuffers<'_>, found: &ImageLoss, pixels: usize) -> Result<()> {
    let ImageLoss { loss, v_rgb, v_alpha } = found;
    let alphas = v_alpha.as_ref().map_or(pixels, Vec::len);
    if v_rgb.len() != 3 * pixels || alphas != pixels {
        let why = format!(
            "the gradient of an image of {pixels} pixels has {} colour values (3 a pixel are needed) and {alphas} of alpha",
            v_rgb.len()
        );
        return Err(Error::ImageSize { why });
    }
    let alpha = |pixel: usize| v_alpha.as_ref().and_then(|v| v.get(pixel)).copied().unwrap_or(0.0);
    let rgb = v_rgb.as_chunks::<3>().0.iter().enumerate();
    let v_frame: Vec<[f32; 4]> = rgb.map(|(pixel, &[r, g, b])| [r, g, b, alpha(pixel)]).collect();
    gpu.queue().write_buffer(buffers.v_frame, 0, bytemuck::cast_slice(&v_frame));
    gpu.queue().write_buffer(buffers.loss, 0, bytemuck::bytes_of(loss));
    Ok(())
}

/// Copies to the report what the built-in loss also reports: the number of intersections, and whether they fit.
pub(super) fn record_counts(
    encoder: &mut wgpu::CommandEncoder,
    counters: &wgpu::Buffer,
    report: &wgpu::Buffer,
) {
    let pairs = [
        (offset_of!(Counters, isects_needed), offset_of!(GpuReport, isects_needed)),
        (offset_of!(Counters, overflowed), offset_of!(GpuReport, overflowed)),
    ];
    for (from, to) in pairs {
        encoder.copy_buffer_to_buffer(counters, from as u64, report, to as u64, size_of::<u32>() as u64);
    }
}
