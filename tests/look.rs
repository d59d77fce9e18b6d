//! Live views of a training scene: they show the current scene from the requested camera and do not affect the training.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use splat_core::pipeline::{Loaded, Look, OutputFolder, Picture, Pipeline, PipelineOptions, Viewer};
use splat_core::train::{Strategy, TrainConfig};
use splat_core::{
    CancelToken, Dataset, DatasetOptions, GaussianCloud, Lens, LensModel, Pose, ShutterDirection,
};

use crate::fixtures::Device;
use crate::lenses;
use crate::trainer::{bits, config, run_to, tiny, trainer};

const STEPS: u32 = 12;

/// Asks for a picture.
#[derive(Default)]
struct Eyes {
    looks: Mutex<VecDeque<Look>>,
    pictures: Mutex<Vec<Picture>>,
}

impl Eyes {
    /// For one picture: the first of a run comes however slow the machine is, later ones when there is time for them.
    fn asking(cam_from_world: Option<Pose>, longest_side: u32) -> Self {
        let looks = VecDeque::from([Look { cam_from_world, longest_side }]);
        Self { looks: Mutex::new(looks), ..Self::default() }
    }

    fn pictures(self) -> Vec<Picture> {
        self.pictures.into_inner().expect("nobody panicked")
    }
}

impl Viewer for Eyes {
    fn next_look(&self) -> Option<Look> {
        self.looks.lock().expect("nobody panicked").pop_front()
    }

    fn show(&self, picture: Picture) {
        self.pictures.lock().expect("nobody panicked").push(picture);
    }
}

/// Trains through the pipeline; gives the scene.
fn train(dataset: &Arc<Dataset>, config: &TrainConfig, eyes: Option<&Eyes>) -> GaussianCloud {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let cancel = CancelToken::new();
    let output = OutputFolder::create(dir.path()).expect("a folder");
    let options = PipelineOptions { train: config.clone(), ..PipelineOptions::default() };
    let mut pipeline = Pipeline::new(options, output, &|_| (), &cancel).expect("the folder is free");
    if let Some(eyes) = eyes {
        pipeline = pipeline.shown_to(eyes);
    }
    let loaded = Loaded { dataset: Arc::clone(dataset) };
    let trained = pipeline.train(&loaded, &Device::shared().gpu).expect("it trains");
    let outcome = pipeline.finish(trained).expect("it is written");
    splat_core::ply::read(&outcome.ply).expect("it is a scene").cloud
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn pictures_are_of_the_scene_as_it_is_and_change_nothing() {
    let (_dir, dataset) = tiny();
    let config = TrainConfig { steps: STEPS, ..config(Strategy::Mcmc) };
    let preview = dataset.held_out[dataset.held_out.len() / 2];
    let other = dataset.train[3];
    let pose = dataset.pinhole_camera(other).cam_from_world;
    let unseen = bits(&train(&dataset, &config, None));
    let pictures = [None, Some(pose)].map(|pose| {
        let eyes = Eyes::asking(pose, 64);
        assert!(bits(&train(&dataset, &config, Some(&eyes))) == unseen, "looking changed the scene");
        eyes.pictures().pop().expect("a picture")
    });
    for (picture, view) in pictures.iter().zip([preview, other]) {
        let mut until_then = trainer(&dataset, config.clone());
        run_to(&mut until_then, picture.step);
        let render = until_then.render_view(view).expect("a picture");
        assert!(picture.rgb == render.to_rgb8(), "view {view} after {} steps", picture.step);
        let camera = dataset.pinhole_camera(view);
        assert_eq!(picture.camera.intrinsics, camera.intrinsics);
        let back = picture.camera.cam_from_world.to_matrix();
        assert!(back.abs_diff_eq(camera.cam_from_world.to_matrix(), 1e-9), "{back}");
    }
    // The cameras stand above the middle of a floor and look at it; world y points down.
    let around = pictures[0].around;
    assert!(around.point.length() < 1e-6, "{}", around.point);
    // To some degrees: without the photos held out their ring is uneven.
    assert!(around.up.y < -0.98 && (around.up.length() - 1.0).abs() < 1e-9, "{}", around.up);
}

#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn pictures_are_no_larger_than_asked_for() {
    let (_dir, dataset) = tiny();
    let config = TrainConfig { steps: 3, ..config(Strategy::Mcmc) };
    for (asked, size) in [(1280, (64, 48)), (63, (32, 24)), (1, (32, 24))] {
        let eyes = Eyes::asking(None, asked);
        train(&dataset, &config, Some(&eyes));
        let pictures = eyes.pictures();
        let intrinsics = pictures[0].camera.intrinsics;
        assert_eq!((intrinsics.width, intrinsics.height), size, "{asked}");
        assert_eq!(pictures[0].rgb.len() as u32, 3 * size.0 * size.1);
    }
}

/// Lenses that bend and shutters that roll have kernels of their own, and a run has those of its photos alone.
#[test]
#[cfg_attr(no_gpu, ignore = "built with --cfg no_gpu")]
fn any_lens_and_shutter_can_be_looked_through() {
    let pinhole =
        Lens { model: LensModel::SimplePinhole, width: 64, height: 48, params: vec![60.0, 32.0, 24.0] };
    let params = vec![40.0, 32.0, 24.0, 0.02];
    let fisheye = Lens { model: LensModel::SimpleRadialFisheye, params, ..pinhole.clone() };
    for (lens, rolling) in [(fisheye, None), (pinhole, Some(ShutterDirection::TopToBottom))] {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let options = DatasetOptions { keep_distortion: true, ..DatasetOptions::default() };
        let dataset = Dataset::new(lenses::scene(dir.path(), &lens, rolling), &options).expect("a dataset");
        let pose = dataset.pinhole_camera(dataset.train[1]).cam_from_world;
        let dataset = Arc::new(dataset);
        let pictures = [None, Some(pose)].map(|pose| {
            let eyes = Eyes::asking(pose, 64);
            train(&dataset, &TrainConfig { steps: 3, ..lenses::config(None) }, Some(&eyes));
            eyes.pictures().pop().expect("a picture")
        });
        for picture in &pictures {
            let colours: BTreeSet<&[u8]> = picture.rgb.chunks(3).collect();
            assert!(colours.len() > 50, "{lens:?}: {} colours", colours.len());
        }
        assert!(pictures[0].rgb != pictures[1].rgb, "{lens:?}: the pose makes no difference");
    }
}
