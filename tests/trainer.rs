//! Training on a dataset of eight tiny photos: it converges, gives the same bits each time, and continues from checkpoints
//! as if it had never stopped.

use std::path::Path;
use std::sync::Arc;

use splat_core::train::{AlphaMode, DensifyConfig, StepReport, Strategy, TrainConfig, Trainer};
use splat_core::{Dataset, DatasetOptions, GaussianCloud, Lens, Pinhole, RendererKind, Scene};
use tempfile::TempDir;

use crate::fixtures::Device;
use crate::tiny_scene;

pub(crate) const VIEWS: u32 = 8;
const STEPS: u32 = 60;
const STRATEGIES: [Strategy; 2] = [Strategy::Adc, Strategy::Mcmc];

/// A run of 60 steps that densifies before steps 10 and 20 (ADC; opacities are reset before 20) or every tenth up to
/// 40 (MCMC).
pub(crate) fn config(strategy: Strategy) -> TrainConfig {
    let densify =
        DensifyConfig { at_least_every: 10, reset_every: 10_000, growth: 0.1, ..DensifyConfig::default() };
    TrainConfig {
        steps: STEPS,
        strategy,
        sh_degree: 1,
        sh_degree_every: 10_000,
        densify,
        ..TrainConfig::default()
    }
}

pub(crate) fn tiny_scene(views: u32) -> (TempDir, Scene) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let scene = tiny_scene::scene(dir.path(), views).expect("a dataset");
    (dir, scene)
}

pub(crate) fn dataset_of(scene: Scene) -> Arc<Dataset> {
    Arc::new(Dataset::new(scene, &DatasetOptions::default()).expect("it is a dataset"))
}

pub(crate) fn tiny() -> (TempDir, Arc<Dataset>) {
    let (dir, scene) = tiny_scene(VIEWS);
    (dir, dataset_of(scene))
}

pub(crate) fn trainer(dataset: &Arc<Dataset>, config: TrainConfig) -> Trainer {
    Trainer::new(&Device::shared().gpu, Arc::clone(dataset), config).expect("training starts")
}

pub(crate) fn run_to(trainer: &mut Trainer, steps: u32) -> Vec<StepReport> {
    let mut reports = Vec::new();
    while trainer.steps_done() < steps {
        reports.push(trainer.step().expect("a step"));
    }
    reports
}

/// All of a cloud's bits, so that NaN equals itself and 0 is not -0.
pub(crate) fn bits(cloud: &GaussianCloud) -> Vec<u32> {
    let rows = |flat: &[f32]| flat.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
    [
        rows(cloud.means.as_flattened()),
        rows(cloud.quats.as_flattened()),
        rows(cloud.log_scales.as_flattened()),
        rows(&cloud.opacity_logits),
        rows(cloud.sh_coeffs.as_flattened()),
    ]
    .concat()
}

fn finished(mut trainer: Trainer, steps: u32) -> GaussianCloud {
    run_to(&mut trainer, steps);
    trainer.cloud().expect("the cloud comes back")
}

fn loss_after(trainer: &mut Trainer, steps: u32) -> f32 {
    run_to(trainer, steps);
    trainer.flush().expect("the steps end");
    trainer.latest_loss()
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_seed_fixes_every_bit_and_checkpoints_change_none() {
    let (dir, dataset) = tiny();
    let kinds = RendererKind::ALL.into_iter().flat_map(|renderer| STRATEGIES.map(|s| (renderer, s)));
    for (renderer, strategy) in kinds {
        let config = TrainConfig { renderer: Some(renderer), ..config(strategy) };
        // Between refinements, right before one, and at the very start.
        let saved_at = [0, 15, 20];
        assert!(!config.densifies_before(15) && config.densifies_before(20), "{strategy:?}");
        let path = |step: u32| dir.path().join(format!("{renderer}_{strategy:?}_{step}"));
        let mut first = trainer(&dataset, config.clone());
        for step in saved_at {
            run_to(&mut first, step);
            first.save_checkpoint(&path(step)).expect("it is saved");
        }
        let seeds = 576;
        let first = finished(first, STEPS);
        assert_ne!(first.len(), seeds, "{renderer}, {strategy:?}: nothing was densified");

        let again = finished(trainer(&dataset, config.clone()), STEPS);
        assert!(bits(&first) == bits(&again), "{renderer}, {strategy:?}: the same seed gave other bits");
        let other = finished(trainer(&dataset, TrainConfig { seed: 1, ..config }), STEPS);
        assert!(bits(&first) != bits(&other), "{renderer}, {strategy:?}: the seed does nothing");

        for step in saved_at {
            let resumed = Trainer::resume(&Device::shared().gpu, Arc::clone(&dataset), &path(step))
                .expect("the checkpoint is good");
            assert_eq!(resumed.steps_done(), step);
            let resumed = finished(resumed, STEPS);
            assert!(
                bits(&first) == bits(&resumed),
                "{renderer}, {strategy:?}: resumed at {step}, it went elsewhere"
            );
        }
    }
}

/// The last steps of a run of 3DGUT by EWA, resumed before and after the change.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_run_can_finish_with_ewa() {
    let (dir, dataset) = tiny();
    let config = TrainConfig {
        steps: 20,
        renderer: Some(RendererKind::Gut),
        finish_ewa_steps: 8,
        ..config(Strategy::Mcmc)
    };
    let mut first = trainer(&dataset, config.clone());
    let path = |step: u32| dir.path().join(format!("{step}"));
    for (step, renderer) in [(10, RendererKind::Gut), (12, RendererKind::Gut), (15, RendererKind::Ewa)] {
        run_to(&mut first, step);
        assert_eq!(first.renderer(), renderer, "after {step} steps");
        first.save_checkpoint(&path(step)).expect("it is saved");
    }
    let first = finished(first, 20);
    for step in [10, 12, 15] {
        let resumed = Trainer::resume(&Device::shared().gpu, Arc::clone(&dataset), &path(step))
            .expect("the checkpoint is good");
        assert!(bits(&first) == bits(&finished(resumed, 20)), "resumed at {step}, it went elsewhere");
    }
    let whole = finished(trainer(&dataset, TrainConfig { finish_ewa_steps: 0, ..config }), 20);
    assert!(bits(&first) != bits(&whole), "the renderer did not change");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn the_cap_holds_from_the_first_step_on() {
    let (_dir, dataset) = tiny();
    for strategy in STRATEGIES {
        // Above and below the 576 seed points.
        for cap in [600, 100] {
            let config = TrainConfig { max_gaussians: Some(cap), ..config(strategy) };
            let mut trainer = trainer(&dataset, config);
            assert!(
                trainer.gaussian_count() <= cap,
                "{strategy:?}: starts with {}",
                trainer.gaussian_count()
            );
            let reports = run_to(&mut trainer, 45);
            let most = reports.iter().map(|report| report.gaussians).max().unwrap_or(0);
            assert!(most <= cap, "{strategy:?}: {most} of {cap}");
            assert_eq!(trainer.cloud().expect("a cloud").len(), trainer.gaussian_count() as usize);
            if strategy == Strategy::Mcmc {
                assert_eq!(most, cap, "growth does not reach the cap");
            }
        }
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn it_learns_from_coarse_to_fine() {
    let (_dir, dataset) = tiny();
    for strategy in STRATEGIES {
        // Opacities that were just reset say little about what was learnt.
        let mut config = config(strategy);
        config.densify.reset_every = 30_000;
        let mut trainer = trainer(&dataset, config);
        let before = trainer.evaluate().expect("the held-out view renders").psnr;
        let reports = run_to(&mut trainer, STEPS);
        let after = trainer.evaluate().expect("the held-out view renders");
        assert_eq!(after.views.len(), 1, "one view in eight is held out");
        assert!(after.psnr > before + 3.0, "{strategy:?}: from {before:.2} to {:.2} dB", after.psnr);

        let sizes: Vec<(u32, u32)> = reports.iter().map(|report| report.image_size).collect();
        let at = |from: usize, to: usize, size| sizes[from..to].iter().all(|have| *have == size);
        assert!(at(0, 6, (16, 12)) && at(6, 15, (32, 24)) && at(15, 60, (64, 48)), "{sizes:?}");
        assert_eq!(
            reports.iter().map(|report| report.step).collect::<Vec<_>>(),
            (1..=STEPS).collect::<Vec<_>>()
        );

        // At full size, where losses compare: the first ten reports against the last ten.
        let mean =
            |part: &[StepReport]| part.iter().map(|r| f64::from(r.loss)).sum::<f64>() / part.len() as f64;
        // Reports lag a few steps.
        let (early, late) = (mean(&reports[18..28]), mean(&reports[50..60]));
        assert!(late < 0.9 * early, "{strategy:?}: the loss went from {early} to {late}");
    }
}

/// Makes every photo transparent where it shows the plain background, which is one colour.
fn cut_out(scene: &mut Scene, dir: &Path) {
    for view in &mut scene.views {
        let mut photo = image::open(&view.image_path).expect("the photo opens").to_rgba8();
        for pixel in photo.pixels_mut() {
            if pixel.0[..3] == [30, 30, 40] {
                pixel.0 = [0; 4];
            }
        }
        view.image_path = dir.join(format!("cut_{}", view.name));
        photo.save(&view.image_path).expect("it is written");
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn transparent_photos_make_transparent_scenes() {
    let (dir, mut scene) = tiny_scene(VIEWS);
    cut_out(&mut scene, dir.path());
    // Nothing is asked for: a mask, unless the dataset says otherwise of photos that have alpha.
    assert_eq!(dataset_of(scene.clone()).fitting_alpha(), AlphaMode::Mask);
    let renders = |scene: Scene| dataset_of(Scene { alpha: AlphaMode::Transparent, ..scene });
    let blender = trainer(&renders(scene.clone()), config(Strategy::Mcmc));
    assert_eq!(blender.config().alpha(), AlphaMode::Transparent);
    let (_opaque_dir, opaque) = tiny_scene(VIEWS);
    assert_eq!(renders(opaque).fitting_alpha(), AlphaMode::Mask);
    let dataset = dataset_of(scene);
    let train = |alpha_mode| {
        let config = TrainConfig { alpha_mode: Some(alpha_mode), full_size: true, ..config(Strategy::Mcmc) };
        let mut trainer = trainer(&dataset, config);
        let first = loss_after(&mut trainer, 1);
        let last = loss_after(&mut trainer, STEPS);
        assert!(last < 0.7 * first, "{alpha_mode:?}: the loss went from {first} to {last}");
        let alpha = trainer.render_view(0).expect("it renders").alpha;
        let photo = dataset.image(0, 1).expect("it decodes");
        let mean_where = |wanted: u8| {
            let pixels: Vec<f32> = alpha
                .iter()
                .zip(&photo.pixels)
                .filter(|(_, pixel)| (**pixel >> 24) as u8 == wanted)
                .map(|(alpha, _)| *alpha)
                .collect();
            assert!(pixels.len() > 100, "{} pixels of alpha {wanted}", pixels.len());
            pixels.iter().sum::<f32>() / pixels.len() as f32
        };
        (mean_where(255), mean_where(0))
    };
    let (inside, outside) = train(AlphaMode::Transparent);
    assert!(inside > 0.75 && outside < 0.1, "alpha {inside} on the floor and {outside} beside it");
    let (_, masked) = train(AlphaMode::Mask);
    assert!(masked > outside, "a mask leaves the scene free there: {masked} and {outside}");
}

/// The middle `width` x `height` pixels of every photo, with the camera to match.
pub(crate) fn crop(scene: &mut Scene, dir: &Path, width: u32, height: u32) {
    for view in &mut scene.views {
        let photo = image::open(&view.image_path).expect("the photo opens").to_rgb8();
        let (x, y) = ((photo.width() - width) / 2, (photo.height() - height) / 2);
        let part = image::imageops::crop_imm(&photo, x, y, width, height).to_image();
        view.image_path = dir.join(format!("{width}x{height}_{}", view.name));
        part.save(&view.image_path).expect("it is written");
        let Pinhole { fx, fy, cx, cy, .. } = view.lens.as_pinhole().expect("it is a pinhole camera");
        let (cx, cy) = (cx - f64::from(x), cy - f64::from(y));
        view.lens = Lens::pinhole(Pinhole { width, height, fx, fy, cx, cy });
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn images_of_any_size_train() {
    for (width, height) in [(61, 47), (64, 1), (1, 48), (1, 1), (17, 33)] {
        let (dir, mut scene) = tiny_scene(VIEWS);
        crop(&mut scene, dir.path(), width, height);
        let dataset = dataset_of(scene);
        let mut trainer = trainer(&dataset, config(Strategy::Mcmc));
        let first = {
            run_to(&mut trainer, 16);
            loss_after(&mut trainer, 16)
        };
        let reports = run_to(&mut trainer, 40);
        assert_eq!(reports.last().map(|report| report.image_size), Some((width, height)));
        let last = loss_after(&mut trainer, 40);
        assert!(first.is_finite() && last.is_finite(), "{width}x{height}: {first} {last}");
        let held_out = trainer.evaluate().expect("the held-out view renders");
        assert!(held_out.psnr > 8.0, "{width}x{height}: {} dB", held_out.psnr);
        assert!(
            bits(&trainer.cloud().expect("a cloud")).iter().all(|bits| f32::from_bits(*bits).is_finite())
        );
    }
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn every_sh_degree_and_the_antialiased_mode_train() {
    let (_dir, dataset) = tiny();
    let mut clouds = Vec::new();
    for (sh_degree, antialiased) in [(0, false), (1, false), (2, false), (3, false), (1, true)] {
        // The degree rises every eighth step.
        let config = TrainConfig {
            sh_degree,
            antialiased,
            sh_degree_every: 4000,
            full_size: true,
            ..config(Strategy::Mcmc)
        };
        let mut trainer = trainer(&dataset, config);
        let first = loss_after(&mut trainer, 1);
        let last = loss_after(&mut trainer, 36);
        assert!(last < 0.8 * first, "degree {sh_degree}, antialiased {antialiased}: {first} to {last}");
        let cloud = trainer.cloud().expect("a cloud");
        assert_eq!(
            (cloud.sh_degree, cloud.sh_coeffs.len()),
            (sh_degree, cloud.len() * (sh_degree as usize + 1).pow(2))
        );
        // Terms of the highest degree have been learnt.
        let highest = cloud.sh_coeffs.chunks_exact((sh_degree as usize + 1).pow(2)).filter_map(<[_]>::last);
        assert!(highest.flatten().any(|value| *value != 0.0), "degree {sh_degree}");
        clouds.push(bits(&cloud));
    }
    assert!(clouds[1] != clouds[4], "the antialiased mode changes nothing");
}
