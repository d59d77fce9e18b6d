//! A sparse model in memory, and its conversion to a scene.

use std::collections::BTreeMap;
use std::path::Path;

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
    /// Features.
    pub points2d: Vec<Point2d>,
}

/// A feature in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point2d {
    /// Position in pixels; pixel (0,0) has its centre at (0.5, 0.5).
    pub xy: [f64; 2],
    /// The point it sees, in [`Reconstruction::points`].
    pub point3d_id: Option<u64>,
}

/// A triangulated point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point3d {
    /// World position.
    pub position: [f64; 3],
    /// Colour, 0..=255.
    pub rgb: [u8; 3],
    /// Mean reprojection error in pixels; -1 where it was not computed.
    pub error: f64,
    /// Which features see it.
    pub track: Vec<TrackElement>,
}

/// One feature that sees a point.
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

    /// The scene of this model, with photos in `images` and masks, if any, in `masks`
    /// (`a/b.jpg`'s is `a/b.jpg` or `a/b.jpg.png` or `a/b.png` there), and the names of photos that
    /// are not on disk or that lead out of the folder: those are left out.
    #[must_use]
    pub fn to_scene(&self, images: &Path, masks: Option<&Path>) -> (Scene, Vec<String>) {
        let mut scene = Scene::default();
        let mut missing = Vec::new();
        for image in self.images.values() {
            let image_path = images.join(&image.name);
            let lens = self.cameras.get(&image.camera_id);
            let (Some(lens), true, true) = (lens, stays_inside(&image.name), image_path.is_file()) else {
                missing.push(image.name.clone());
                continue;
            };
            scene.views.push(View {
                name: image.name.clone(),
                image_path,
                mask_path: masks.and_then(|masks| find_mask(masks, &image.name)),
                lens: lens.clone(),
                cam_from_world: image.cam_from_world,
                rolling_shutter: None,
            });
        }
        scene.views.sort_by(|a, b| a.name.cmp(&b.name));
        missing.sort();
        scene.points = (self.points.values())
            .map(|p| SeedPoint { position: p.position.map(|x| x as f32), rgb: p.rgb })
            .filter(|p| p.position.iter().all(|x| x.is_finite()))
            .collect();
        (scene, missing)
    }
}

/// A model is somebody's file: its names must not reach outside the images folder.
fn stays_inside(name: &str) -> bool {
    use std::path::Component;
    let mut parts = Path::new(name).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn find_mask(masks: &Path, name: &str) -> Option<std::path::PathBuf> {
    let same = masks.join(name);
    let appended = masks.join(format!("{name}.png"));
    let replaced = same.with_extension("png");
    [same, appended, replaced].into_iter().find(|path| path.is_file())
}
