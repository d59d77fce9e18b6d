//! A sparse model in memory, and its conversion to a scene.

use std::collections::BTreeMap;
use std::path::Path;

use splat_core::photo_names::{MatchedBy, PhotoIndex, Resolved};
use splat_core::{Lens, Pose, Scene, SeedPoint, View};

/// A COLMAP sparse model: cameras, registered images and triangulated points by COLMAP's numbers.
///
/// Models of COLMAP 3.12 and later add rigs and frames. Their `images` file still holds each
/// image's own world-to-camera pose, which is what is read here; rigs and frames are not kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reconstruction {
    /// Cameras by number.
    pub cameras: BTreeMap<u32, Lens>,
    /// Registered images by number.
    pub images: BTreeMap<u32, PosedImage>,
    /// Points by number.
    pub points: BTreeMap<u64, Point3d>,
}

/// A registered image.
#[derive(Clone, Debug, PartialEq)]
pub struct PosedImage {
    /// Name relative to the images folder, `/`-separated.
    pub name: String,
    /// Its camera in [`Reconstruction::cameras`].
    pub camera_id: u32,
    /// World to camera.
    pub cam_from_world: Pose,
    /// Features found in the image.
    pub points2d: Vec<Point2d>,
}

/// A feature in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point2d {
    /// Position in pixels; pixel (0,0) has its centre at (0.5, 0.5).
    pub xy: [f64; 2],
    /// The point it observes, in [`Reconstruction::points`].
    pub point3d_id: Option<u64>,
}

/// A triangulated point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point3d {
    /// World position.
    pub position: [f64; 3],
    /// Colour, 0..=255.
    pub rgb: [u8; 3],
    /// Mean reprojection error in pixels; -1 if it was not computed.
    pub error: f64,
    /// The features that observe it.
    pub track: Vec<TrackElement>,
}

/// An observation of a point by a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackElement {
    /// The image in [`Reconstruction::images`].
    pub image_id: u32,
    /// Index into its [`PosedImage::points2d`].
    pub point2d_index: u32,
}

impl Reconstruction {
    /// Mean of the points' reprojection errors in pixels, where they were computed.
    #[must_use]
    pub fn mean_reprojection_error_px(&self) -> Option<f64> {
        let errors: Vec<f64> = self.points.values().map(|p| p.error).filter(|&e| e >= 0.0).collect();
        (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64)
    }

    /// Names of the registered images, in the order of their numbers.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.images.values().map(|image| image.name.as_str()).collect()
    }

    /// The model of a scene: a camera for each of its lenses, images numbered from 1 in the order of its views, and points without
    /// observations. Rolling shutters, which the format lacks, are left out.
    #[must_use]
    pub fn from_scene(scene: &Scene) -> Self {
        let mut lenses: Vec<&Lens> = Vec::new();
        let mut camera_of = |lens| {
            let at = lenses.iter().position(|known| *known == lens).unwrap_or_else(|| {
                lenses.push(lens);
                lenses.len() - 1
            });
            at as u32 + 1
        };
        let image = |view: &'_ View, camera_id| PosedImage {
            name: view.name.clone(),
            camera_id,
            cam_from_world: view.cam_from_world,
            points2d: Vec::new(),
        };
        let images = (1..).zip(scene.views.iter().map(|view| image(view, camera_of(&view.lens)))).collect();
        let point = |point: &SeedPoint| Point3d {
            position: point.position,
            rgb: point.rgb,
            error: -1.0,
            track: Vec::new(),
        };
        let points = (1..).zip(scene.points.iter().map(point)).collect();
        Self { cameras: (1..).zip(lenses.into_iter().cloned()).collect(), images, points }
    }

    /// The scene of this model, with photos in `images` and masks, if any, in `masks`, resolved by [`splat_core::photo_names`], and the
    /// names of missing photos, which are left out.
    #[must_use]
    pub fn to_scene(&self, images: &Path, masks: Option<&Path>) -> (Scene, Vec<String>) {
        let photos = PhotoIndex::of(images).resolve(&self.names());
        let masks = masks.map(|masks| PhotoIndex::of(masks).resolve(&self.names()));
        self.scene_of(images, &photos, masks.as_deref().unwrap_or_default())
    }

    /// As [`Reconstruction::to_scene`], with the names resolved already.
    pub(crate) fn scene_of(
        &self,
        root: &Path,
        photos: &[Resolved],
        masks: &[Resolved],
    ) -> (Scene, Vec<String>) {
        let mut scene = Scene::default();
        let mut missing = Vec::new();
        let masks = masks.iter().map(Some).chain(std::iter::repeat(None));
        for ((image, photo), mask) in self.images.values().zip(photos).zip(masks) {
            let lens = self.cameras.get(&image.camera_id);
            let (Some(lens), Resolved::File(image_path, how)) = (lens, photo) else {
                missing.push(image.name.clone());
                continue;
            };
            let mask_path = match mask {
                Some(Resolved::File(path, _)) => Some(path.clone()),
                _ => None,
            };
            let below = image_path.strip_prefix(root).ok().and_then(Path::to_str);
            let name = match below {
                // The photo's actual name, if the model has another one.
                Some(below) if *how != MatchedBy::Path => below.replace('\\', "/"),
                _ => image.name.replace('\\', "/"),
            };
            scene.views.push(View {
                name,
                image_path: image_path.clone(),
                mask_path,
                lens: lens.clone(),
                cam_from_world: image.cam_from_world,
                rolling_shutter: None,
            });
        }
        scene.views.sort_by(|a, b| a.name.cmp(&b.name));
        missing.sort();
        scene.points = (self.points.values())
            .map(|p| SeedPoint { position: p.position, rgb: p.rgb })
            .filter(|p| p.position.iter().all(|x| x.is_finite()))
            .collect();
        (scene, missing)
    }
}
