//! Limits on what the training photos can show: the smallest size that they resolve, and the nearest distance.

use std::collections::BTreeMap;

use glam::DVec3;
use rayon::prelude::*;

use super::frame::SceneFrame;
use super::known_depths::nearest;
use super::visibility::{MARGIN, Sampler};
use crate::Result;
use crate::dataset::Dataset;
use crate::gpu::Gpu;
use crate::gpu::kernel::Kernel;
use crate::gpu::layout::{GEOMETRY_BYTES, PhotoLimitsUniform, PhotoView};
use crate::gpu::profile::Pass;
use crate::gpu::shaders::{self, CameraModule, Switches};
use crate::render::GaussianBuffers;
use crate::render::chunks::Chunks;

/// Points of structure-from-motion used for the nearest distance of each view: enough for its lowest two per cent.
const POINTS: usize = 10_000;

/// The training photos' limits, applied to Gaussians by `photo_limits.wgsl`.
#[derive(Debug)]
pub(super) struct PhotoLimits {
    families: Vec<Family>,
    /// Near plane, units of the run's frame.
    near: f32,
}

/// The photos whose lenses are of one family of camera models.
#[derive(Debug)]
struct Family {
    kernel: Kernel,
    photos: wgpu::Buffer,
}

/// What to apply.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Apply {
    /// Fades Gaussians that are in front of everything that one of the photos shows: the maximum of their opacity logits. They are
    /// veils, which only explain the colours of that photo.
    pub(super) veil_logit: Option<f32>,
    /// Sets the floor of every Gaussian that a photo shows: a variance in square pixels at the highest sampling rate among the
    /// photos that show it (Mip-Splatting, Yu et al. 2024, eq. 7 to 9). The others keep theirs.
    pub(super) floor_px2: Option<f32>,
}

impl PhotoLimits {
    /// For a dataset's training views at full size, in the run's frame.
    pub(super) fn new(gpu: &Gpu, dataset: &Dataset, frame: SceneFrame) -> Result<Self> {
        let views = photo_views(dataset, frame)?;
        let mut by_family: BTreeMap<CameraModule, Vec<PhotoView>> = BTreeMap::new();
        for (family, view) in views {
            by_family.entry(family).or_default().push(view);
        }
        let family = |(camera, views): (CameraModule, Vec<PhotoView>)| {
            let switches = Switches { camera, ..Switches::default() };
            let kernel = Kernel::new(gpu, shaders::PHOTO_LIMITS, switches, &[]);
            Ok(Family { kernel, photos: gpu.storage_from("splat.photo_limits.photos", &views)? })
        };
        let families = by_family.into_iter().map(family).collect::<Result<_>>()?;
        Ok(Self { families, near: frame.near() })
    }

    /// Changes the Gaussians' opacities or scale floors.
    ///
    /// # Errors
    /// Errors of the device.
    pub(super) fn apply(&self, gpu: &Gpu, gaussians: &GaussianBuffers, what: Apply) -> Result<()> {
        if what == Apply::default() {
            return Ok(());
        }
        let rates = gpu.storage_in_parts("splat.photo_limits.rates", u64::from(gaussians.count) * 4)?;
        for chunk in Chunks::new(gpu, gaussians.count, GEOMETRY_BYTES).iter() {
            for (at, Family { kernel, photos }) in self.families.iter().enumerate() {
                let limits = PhotoLimitsUniform {
                    count: chunk.count,
                    is_first: u32::from(at == 0),
                    is_last: u32::from(at + 1 == self.families.len()),
                    near: self.near,
                    veil_logit: what.veil_logit.unwrap_or(f32::MAX),
                    floor_px2: what.floor_px2.unwrap_or(0.0),
                    margin: MARGIN as f32,
                };
                let uniform = gpu.uniform::<PhotoLimitsUniform>("splat.photo_limits");
                gpu.queue().write_buffer(&uniform, 0, bytemuck::bytes_of(&limits));
                let geometry = chunk.part(&gaussians.geometry, GEOMETRY_BYTES);
                let parts = [(&uniform).into(), photos.into(), chunk.part(&rates, 4), geometry];
                let bindings = kernel.bind(gpu, &parts);
                gpu.submit("splat.photo_limits", |encoder| {
                    let mut pass = Pass::begin(encoder, None);
                    kernel.dispatch_items(&mut pass, &bindings, chunk.count);
                });
            }
        }
        gpu.check()
    }
}

/// The kernel's record of each training view, with its family of camera models.
fn photo_views(dataset: &Dataset, frame: SceneFrame) -> Result<Vec<(CameraModule, PhotoView)>> {
    let near = f64::from(frame.near());
    let stride = (dataset.scene.points.len() / POINTS).max(1);
    let points = dataset.scene.points.iter().step_by(stride);
    let points: Vec<DVec3> = points.map(|point| DVec3::from_array(frame.point(point).position)).collect();
    let record = |&view: &usize| {
        let sampler = Sampler::new(dataset, frame, view)?;
        let distances = points.iter().filter_map(|&point| sampler.distance(point, near));
        let matrix = sampler.cam_from_world.to_matrix();
        let record = PhotoView {
            cam_from_world: [0, 1, 2].map(|row| matrix.row(row).as_vec4().to_array()),
            lens: sampler.lens.uniform(),
            size_px: sampler.size.map(|size| size as f32),
            focal_px: sampler.focal_px as f32,
            nearest: nearest(distances.collect()) as f32,
        };
        Ok((sampler.lens.module(), record))
    };
    dataset.train.par_iter().map(record).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::super::small_view::tests::wall;
    use super::*;
    use crate::dataset::DatasetOptions;
    use crate::gaussians::GaussianCloud;
    use crate::gpu::GpuOptions;
    use crate::gpu::layout::Gaussian;
    use crate::lens::tests::example;
    use crate::lens::{Lens, LensModel};
    use crate::random::Random;
    use crate::scene::{Scene, SeedPoint, View};

    fn cloud(means: Vec<[f32; 3]>) -> GaussianCloud {
        let n = means.len();
        GaussianCloud {
            means,
            quats: vec![[1.0, 0.0, 0.0, 0.0]; n],
            log_scales: vec![[-2.0; 3]; n],
            opacity_logits: vec![1.0; n],
            sh_coeffs: vec![[0.0; 3]; n],
            sh_degree: 0,
        }
    }

    fn applied(gpu: &Gpu, dataset: &Dataset, means: Vec<[f32; 3]>, what: Apply) -> Vec<Gaussian> {
        let gaussians = GaussianBuffers::upload(gpu, &cloud(means)).unwrap();
        let limits = PhotoLimits::new(gpu, dataset, SceneFrame::WORLD).unwrap();
        limits.apply(gpu, &gaussians, what).unwrap();
        gpu.read(&gaussians.geometry, gaussians.count as usize).unwrap()
    }

    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn what_stands_before_everything_a_photo_shows_fades() {
        let gpu = Gpu::new(&GpuOptions::default()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let on_the_wall = |i: i32| [f64::from(i % 10) * 0.1 - 0.5, f64::from(i / 10) * 0.1, 4.0];
        let points: Vec<SeedPoint> =
            (0..60).map(|i| SeedPoint { position: on_the_wall(i), rgb: [0; 3] }).collect();
        let faded = |points: Vec<SeedPoint>, what| {
            let dataset = wall(dir.path(), points, |_| [1.0; 3]);
            let means = [1.0, 3.0, 4.0, -1.0].map(|z| [0.0, 0.1, z]);
            let geometry = applied(&gpu, &dataset, means.to_vec(), what);
            geometry.iter().map(|gaussian| gaussian.opacity_logit).collect::<Vec<_>>()
        };
        let veils = Apply { veil_logit: Some(-6.0), ..Apply::default() };
        assert_eq!(
            faded(points.clone(), veils),
            [-6.0, 1.0, 1.0, 1.0],
            "a veil at 1, others at 3, on the wall and behind"
        );
        assert_eq!(faded(points[..10].to_vec(), veils), [1.0; 4], "ten points say nothing");
        let floors = Apply { floor_px2: Some(0.1), ..Apply::default() };
        assert_eq!(faded(points, floors), [1.0; 4], "floors change no opacity");
    }

    /// Photos by lenses of all families, together and of each alone: the floors are those that the host computes in f64.
    #[test]
    #[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
    fn floors_follow_the_nearest_photo_that_shows_a_gaussian() {
        let gpu = Gpu::new(&GpuOptions::default()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let views = wall(dir.path(), Vec::new(), |_| [1.0; 3]).scene.views;
        // As large as the photos.
        let lens = |model| {
            let Lens { params, .. } = example(model);
            let scale = 96.0 / 1024.0;
            // Focal lengths and principal point are in pixels, what follows is not.
            let pixels = params.iter().take_while(|param| **param > 100.0).count();
            let params = params.iter().enumerate().map(|(i, x)| if i < pixels { x * scale } else { *x });
            Lens { model, width: 96, height: 64, params: params.collect() }
        };
        let mut random = Random::new(5, 0, 0);
        let mut between = |low: f64, high: f64| (low + (high - low) * random.uniform()) as f32;
        let means: Vec<[f32; 3]> =
            (0..2_000).map(|_| [between(-6.0, 6.0), between(-4.0, 4.0), between(-2.0, 8.0)]).collect();
        let all: Vec<LensModel> = LensModel::ALL.to_vec();
        for models in all.iter().map(|model| vec![*model]).chain([all.clone()]) {
            let lens_of = |i: usize| lens(models[i % models.len()]);
            let count = views.len().max(models.len());
            let views = (0..count).map(|i| View {
                lens: lens_of(i),
                name: format!("{i}.png"),
                ..views[i % views.len()].clone()
            });
            let scene = Scene { views: views.collect(), ..Scene::default() };
            let options =
                DatasetOptions { keep_distortion: true, holdout_every: None, ..DatasetOptions::default() };
            let dataset = Dataset::new(scene, &options).unwrap();
            let floors = Apply { floor_px2: Some(0.3), ..Apply::default() };
            let geometry = applied(&gpu, &dataset, means.clone(), floors);
            let samplers: Vec<Sampler> = dataset
                .train
                .iter()
                .map(|&view| Sampler::new(&dataset, SceneFrame::WORLD, view).unwrap())
                .collect();
            let near = f64::from(SceneFrame::WORLD.near());
            let wanted = |mean: [f32; 3], margin: f64| {
                let mean = DVec3::from_array(mean.map(f64::from));
                let rate = |sampler: &Sampler| {
                    sampler.within(mean, near, margin).map(|(_, depth)| sampler.focal_px / depth)
                };
                let rate = samplers.iter().filter_map(rate).fold(0.0, f64::max);
                if rate > 0.0 { 0.3 / (rate * rate) } else { 0.0 }
            };
            let mut floored = 0;
            for (gaussian, mean) in geometry.iter().zip(&means) {
                let floor = f64::from(gaussian.scale_floor);
                // At the border of the margin rounding decides.
                let hits = [MARGIN, MARGIN - 1e-3, MARGIN + 1e-3].map(|margin| {
                    let wanted = wanted(*mean, margin);
                    (floor - wanted).abs() <= 1e-4 * wanted
                });
                assert!(
                    hits.contains(&true),
                    "{models:?}: {mean:?} has {floor}, not {}",
                    wanted(*mean, MARGIN)
                );
                floored += usize::from(floor > 0.0);
            }
            assert!((200..=2_000).contains(&floored), "{models:?}: {floored} of {}", means.len());
        }
    }
}
