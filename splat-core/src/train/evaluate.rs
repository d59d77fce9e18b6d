//! Evaluation of held-out views, rendered at full size and compared with their photos.

use super::trainer::Trainer;
use crate::Result;
use crate::camera::LensCamera;
use crate::gpu::layout::Counters;
use crate::gpu::profile::Pass;
use crate::images::{PackedImage, divided};
use crate::metrics;
use crate::render::{FrameImage, frame_image};
use crate::scene::AlphaMode;

/// Metrics of one held-out view.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ViewMetrics {
    /// The photo's name.
    pub name: String,
    /// Peak signal-to-noise ratio in dB, on the image clamped to 0..1.
    pub psnr: f64,
    /// PSNR after [`metrics::color_corrected`]; `None` in reports from before it was computed.
    #[serde(default)]
    pub cc_psnr: Option<f64>,
    /// Structural similarity, 11x11 Gaussian window of sigma 1.5.
    pub ssim: f64,
    /// PSNR after optimizing the pose for the photo; `None` if poses are not refined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aligned_psnr: Option<f64>,
}

/// Metrics of all held-out views.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EvalReport {
    /// One entry per view.
    pub views: Vec<ViewMetrics>,
    /// Mean PSNR over the views; NaN if there are none.
    pub psnr: f64,
    /// Mean colour-corrected PSNR; `None` if it is missing for a view.
    #[serde(default)]
    pub cc_psnr: Option<f64>,
    /// Mean SSIM over the views.
    pub ssim: f64,
    /// Mean PSNR after optimizing each pose for its photo; `None` if poses are not refined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aligned_psnr: Option<f64>,
}

impl ViewMetrics {
    /// Compares a render with its photo. If alpha is a mask, it weights the pixels; if it is transparency, the photo is composited over
    /// `background` (the render's) and all pixels count.
    ///
    /// # Errors
    /// [`crate::Error::ImageSize`] for a photo of another size, or one that is completely masked.
    pub fn measure(
        name: &str,
        render: &FrameImage,
        photo: &PackedImage,
        alpha: AlphaMode,
        background: [f32; 3],
    ) -> Result<Self> {
        let (truth, weights) = match alpha {
            AlphaMode::Mask => (photo.to_rgb_f32(), photo.has_alpha().then(|| photo.alpha_f32())),
            AlphaMode::Transparent => (photo.over(background), None),
        };
        let weights = weights.as_deref();
        let psnr = metrics::psnr(&render.rgb, &truth, weights)?;
        let ssim = metrics::ssim(&render.rgb, &truth, render.width, render.height, weights)?;
        let corrected = metrics::color_corrected(&render.rgb, &truth, weights)?;
        let cc_psnr = Some(metrics::psnr(&corrected, &truth, weights)?);
        Ok(Self { name: name.to_owned(), psnr, cc_psnr, ssim, aligned_psnr: None })
    }
}

impl EvalReport {
    /// Summarizes these views.
    #[must_use]
    pub fn of(views: Vec<ViewMetrics>) -> Self {
        let mean = |of: fn(&ViewMetrics) -> f64| views.iter().map(of).sum::<f64>() / views.len() as f64;
        let (psnr, ssim) = (mean(|view| view.psnr), mean(|view| view.ssim));
        let of_all = |of: fn(&ViewMetrics) -> Option<f64>| {
            let sum: Option<f64> = views.iter().map(of).sum();
            sum.filter(|_| !views.is_empty()).map(|sum| sum / views.len() as f64)
        };
        let (cc_psnr, aligned_psnr) = (of_all(|view| view.cc_psnr), of_all(|view| view.aligned_psnr));
        Self { views, psnr, cc_psnr, ssim, aligned_psnr }
    }
}

impl Trainer {
    /// Renders every held-out view at full size and compares it with its photo. If training poses are refined, also once more
    /// after optimizing the view's pose for its photo.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn evaluate(&mut self) -> Result<EvalReport> {
        let mut views = Vec::new();
        for index in self.dataset.held_out.clone() {
            let image = self.render_like_photo(index)?;
            let photo = self.dataset.image(index, 1)?;
            let name = &self.dataset.scene.views[index].name;
            let (alpha, background) = (self.config.alpha(), self.config.background);
            let mut metrics = ViewMetrics::measure(name, &image, &photo, alpha, background)?;
            if self.refines_poses() {
                let mut aligned = self.with_shown(|trainer| {
                    let camera = trainer.aligned(index)?;
                    trainer.draw(&camera)
                })?;
                aligned.expose(&self.exposure(index));
                let again = ViewMetrics::measure(&metrics.name, &aligned, &photo, alpha, background)?;
                metrics.aligned_psnr = Some(again.psnr);
            }
            views.push(metrics);
        }
        Ok(EvalReport::of(views))
    }

    /// Renders one view of the dataset at full size, in the current state. `depth` is left empty.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn render_view(&mut self, index: usize) -> Result<FrameImage> {
        self.render_from_view(index, &self.dataset.camera(index))
    }

    /// [`Trainer::render_view`] with the exposure of the view's photo ([`Trainer::exposure`]), for comparison with it.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn render_like_photo(&mut self, index: usize) -> Result<FrameImage> {
        let mut image = self.render_view(index)?;
        image.expose(&self.exposure(index));
        Ok(image)
    }

    /// Renders one view of the dataset with its longest side at most `longest_side` pixels: fast enough for use during training.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn render_view_within(&mut self, index: usize, longest_side: u32) -> Result<FrameImage> {
        let full = self.dataset.pinhole_camera(index).intrinsics;
        let factor = full.width.max(full.height).div_ceil(longest_side.max(1));
        let (width, height) = (divided(full.width, factor), divided(full.height, factor));
        self.render_from_view(index, &self.dataset.camera_at(index, width, height))
    }

    /// Renders from a camera in world coordinates. It must have the lens and shutter of one of the dataset's views and at most as
    /// many pixels, since a run has kernels for no others.
    pub(crate) fn render_camera(&mut self, camera: &LensCamera) -> Result<FrameImage> {
        self.render_in_frame(&self.frame.camera(camera))
    }

    /// Renders a view with its current pose; `camera` is the dataset's camera of the view.
    fn render_from_view(&mut self, index: usize, camera: &LensCamera) -> Result<FrameImage> {
        let camera = self.poses.camera(index, self.frame.camera(camera));
        self.render_in_frame(&camera)
    }

    /// Renders the shown Gaussians from a camera in the run's frame.
    fn render_in_frame(&mut self, camera: &LensCamera) -> Result<FrameImage> {
        self.flush()?;
        self.with_shown(|trainer| trainer.draw(camera))
    }

    /// Renders the Gaussians in the trainer's buffers from a camera in the run's frame.
    fn draw(&mut self, camera: &LensCamera) -> Result<FrameImage> {
        let sh_degree = self.config.sh_degree_at(self.next_step.saturating_sub(1));
        loop {
            let inputs = self.prepare(camera, self.config.background, sh_degree)?;
            let view = inputs.view;
            let forward = &self.passes.forward;
            forward.set_view(&self.gpu, &view, &inputs);
            self.gpu.submit("splat.render_view", |encoder| {
                forward.record_clear(encoder);
                forward.record_rays(encoder, inputs.table.as_deref());
                let mut pass = Pass::begin(encoder, None);
                forward.record(&self.kernels.forward, &mut pass, &view, inputs.optics);
            });
            let counters: Counters = self.gpu.read(&forward.counters, 1)?[0];
            if counters.overflowed == 0 {
                let frame: Vec<[f32; 4]> = self.gpu.read(&forward.frame, view.pixel_count() as usize)?;
                return Ok(frame_image(&view, &frame, Vec::new()));
            }
            self.rebuild(self.room_for(counters.isects_needed))?;
        }
    }
}
