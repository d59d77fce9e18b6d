//! `--colmap-model DIR`: the cameras of a run as a COLMAP model.

use std::collections::BTreeMap;
use std::path::Path;

use splat_colmap::{ModelForm, Reconstruction, write_model};
use splat_core::events::EventSink;
use splat_core::flight::read_cameras;
use splat_core::{CancelToken, Pose, Scene, SceneSource};

use crate::failure::Failure;

/// A scene source that keeps a copy of its scene.
pub(super) struct Kept<'a> {
    source: &'a mut dyn SceneSource,
    scene: Option<Scene>,
}

impl<'a> Kept<'a> {
    pub(super) fn new(source: &'a mut dyn SceneSource) -> Self {
        Self { source, scene: None }
    }

    /// Writes the scene's cameras, points and poses to the folder `dir`; poses come from the run's `cameras.json` for the photos in it.
    pub(super) fn write_model(&self, cameras: &Path, dir: &Path) -> Result<(), Failure> {
        let Some(scene) = &self.scene else { return Ok(()) };
        let poses: BTreeMap<String, Pose> = read_cameras(cameras)?
            .into_iter()
            .map(|camera| (camera.name, camera.camera.cam_from_world))
            .collect();
        let mut model = Reconstruction::from_scene(scene);
        for image in model.images.values_mut() {
            if let Some(&refined) = poses.get(&image.name) {
                image.cam_from_world = refined;
            }
        }
        Ok(write_model(&model, dir, ModelForm::Binary)?)
    }
}

impl SceneSource for Kept<'_> {
    fn scene(&mut self, events: EventSink<'_>, cancel: &CancelToken) -> splat_core::Result<Scene> {
        let scene = self.source.scene(events, cancel)?;
        self.scene = Some(scene.clone());
        Ok(scene)
    }
}

/// Refuses a folder that already contains a model, before the run begins.
pub(super) fn check_folder(dir: Option<&Path>) -> Result<(), Failure> {
    match dir {
        Some(dir) if ModelForm::of(dir).is_some() => Err(Failure::Input {
            path: dir.to_owned(),
            what: "already holds a COLMAP model".to_owned(),
            hint: "give `--colmap-model` another folder, or remove that model",
        }),
        _ => Ok(()),
    }
}
