//! Gaussians far behind the scene, where photos show a sky.

use std::sync::Arc;

use splat_core::train::{Strategy, TrainConfig, Trainer};
use splat_core::{Dataset, GaussianCloud};
use tempfile::TempDir;

use crate::fixtures::Device;
use crate::trainer::{bits, config, dataset_of, run_to, tiny_scene, trainer};

/// The tiny dataset's colour behind the floor.
const BEHIND: [u8; 3] = [30, 30, 40];
const SKY: [u8; 3] = [135, 180, 230];
const STEPS: u32 = 40;

/// The tiny dataset with another colour behind the floor.
fn before(colour: [u8; 3]) -> (TempDir, Arc<Dataset>) {
    let (dir, mut scene) = tiny_scene(8);
    for view in &mut scene.views {
        let mut photo = image::open(&view.image_path).expect("a photo").to_rgb8();
        photo.pixels_mut().filter(|pixel| pixel.0 == BEHIND).for_each(|pixel| pixel.0 = colour);
        view.image_path = dir.path().join(format!("before_{}", view.name));
        photo.save(&view.image_path).expect("it is written");
    }
    (dir, dataset_of(scene))
}

fn short() -> TrainConfig {
    TrainConfig { steps: STEPS, ..config(Strategy::Mcmc) }
}

/// Number of visible Gaussians that are far from the world's origin, around which the tiny scene is.
fn far(cloud: &GaussianCloud) -> usize {
    let length = |mean: &[f32; 3]| mean.iter().map(|x| x * x).sum::<f32>().sqrt();
    let visible = cloud.means.iter().zip(&cloud.opacity_logits).filter(|(_, logit)| **logit > 0.0);
    visible.filter(|(mean, _)| length(mean) > 10.0).count()
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_sky_is_far_behind_the_scene_and_can_be_left_out() {
    let (_dir, dataset) = before(SKY);
    let trained = |backdrop| {
        let mut trainer = trainer(&dataset, TrainConfig { backdrop, ..short() });
        let chosen = trainer.config().has_backdrop();
        run_to(&mut trainer, STEPS);
        (chosen, trainer.cloud().expect("the cloud comes back"))
    };
    let (chosen, cloud) = trained(None);
    assert!(chosen && far(&cloud) > 20, "{} Gaussians are far off", far(&cloud));
    let (chosen, cloud) = trained(Some(false));
    assert!(!chosen && far(&cloud) == 0, "{} Gaussians are far off", far(&cloud));
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_black_background_and_few_gaussians_have_none() {
    let (_dir, dataset) = before([0; 3]);
    assert!(!trainer(&dataset, short()).config().has_backdrop(), "before a black background");
    let (_dir, dataset) = before(SKY);
    let few = TrainConfig { max_gaussians: Some(600), ..short() };
    assert!(!trainer(&dataset, few).config().has_backdrop(), "a quarter of 600 does not suffice");
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn a_resumed_run_goes_on_with_its_backdrop() {
    let (dir, dataset) = before(SKY);
    let path = dir.path().join("checkpoint");
    let mut first = trainer(&dataset, short());
    run_to(&mut first, 15);
    first.save_checkpoint(&path).expect("it is saved");
    run_to(&mut first, STEPS);
    let mut resumed =
        Trainer::resume(&Device::shared().gpu, Arc::clone(&dataset), &path).expect("the checkpoint is good");
    assert!(resumed.config().has_backdrop());
    run_to(&mut resumed, STEPS);
    let [first, resumed] = [first, resumed].map(|mut run| bits(&run.cloud().expect("the cloud comes back")));
    assert!(first == resumed, "the resumed run went elsewhere");
}
