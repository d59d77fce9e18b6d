//! One rendered view, on the GPU and on the host.

use super::forward::ForwardPass;
use crate::Result;
use crate::exposure::Exposure;
use crate::gpu::Gpu;
use crate::gpu::layout::ViewUniform;
use crate::gpu::shaders::Optics;
use crate::lens::Lens;
use crate::shutter::RollingShutter;

/// One rendered view on the GPU, with everything that is needed for its gradient.
#[derive(Debug)]
pub struct Frame {
    pub(super) gpu: Gpu,
    pub(super) view: ViewUniform,
    pub(super) optics: Optics,
    pub(super) shutter: Option<RollingShutter>,
    pub(super) lens: Lens,
    pub(super) pass: ForwardPass,
}

impl Frame {
    /// Copies the view to the host.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn read(&self) -> Result<FrameImage> {
        let pixels = self.view.pixel_count() as usize;
        let frame: Vec<[f32; 4]> = self.gpu.read(&self.pass.frame, pixels)?;
        let depth = self.gpu.read(&self.pass.depth, pixels)?;
        Ok(frame_image(&self.view, &frame, depth))
    }

    /// The pixels on the GPU, `[H*W]` `vec4f` in row-major order: colour over the background, and transmittance (1 - alpha). Usable as
    /// a storage buffer and as the source of a copy, on the renderer's device.
    #[must_use]
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.pass.frame
    }

    /// The expected depth on the GPU, `[H*W]` `f32`, as [`FrameImage::depth`].
    #[must_use]
    pub fn depth_buffer(&self) -> &wgpu::Buffer {
        &self.pass.depth
    }
}

/// One rendered view on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameImage {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Colour over the background `[H*W*3]`; encoded as in the photos, not clamped.
    pub rgb: Vec<f32>,
    /// Opacity `[H*W]`, 0..1.
    pub alpha: Vec<f32>,
    /// Expected depth `[H*W]` along camera z, world units, weighted with alpha and not normalised.
    pub depth: Vec<f32>,
}

impl FrameImage {
    /// Gives the image the exposure of a photo.
    pub(crate) fn expose(&mut self, exposure: &Exposure) {
        let size = [self.width, self.height];
        for (index, pixel) in (0_u32..).zip(self.rgb.as_chunks_mut::<3>().0) {
            let vignette = exposure.vignette_at([index % self.width, index / self.width], size);
            for (colour, factor) in pixel.iter_mut().zip(exposure.factors) {
                *colour *= (factor * vignette) as f32;
            }
        }
    }
}

/// Splits `(rgb, transmittance)` pixels.
pub(crate) fn frame_image(view: &ViewUniform, frame: &[[f32; 4]], depth: Vec<f32>) -> FrameImage {
    FrameImage {
        width: view.image_size[0],
        height: view.image_size[1],
        rgb: frame.iter().flat_map(|p| [p[0], p[1], p[2]]).collect(),
        alpha: frame.iter().map(|p| 1.0 - p[3]).collect(),
        depth,
    }
}
