//! A synthetic scene of any size, to time steps without a dataset.

use std::path::Path;

use glam::DVec3;
use image::{Rgb, RgbImage};

use splat_core::random::Random;
use splat_core::{Error, Lens, Pinhole, Pose, Result, Scene, SeedPoint, View};

const VIEWS: u32 = 4;
/// Distance of the cameras from the centre, world units.
const CAMERA_RADIUS: f64 = 3.0;
const CAMERA_HEIGHT: f64 = 1.2;
/// Focal length relative to the image's width: 57 degrees horizontally.
const FOCAL: f64 = 0.92;
const FLOOR: f64 = 2.5;
const BALLS: usize = 24;
const DOME_RADIUS: f64 = 8.0;

/// Generates a scene of `gaussians` points on surfaces (a floor, balls on it and a dome around them), seen by four cameras of
/// `width` x `height` pixels, and writes their photos to `folder`.
///
/// Points are evenly spread on surfaces, so each Gaussian starts at the size of its share of the image: as in a trained scene, a Gaussian
/// covers fewer pixels the more there are, and lists per tile grow accordingly.
///
/// # Errors
/// [`Error::Scene`] if a photo cannot be written.
pub(super) fn made_up_scene(folder: &Path, gaussians: u32, width: u32, height: u32) -> Result<Scene> {
    let focal = FOCAL * f64::from(width);
    let (cx, cy) = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    let lens = Lens::pinhole(Pinhole { width, height, fx: focal, fy: focal, cx, cy });
    let mut scene = Scene::default();
    for index in 0..VIEWS {
        let name = format!("view_{index}.png");
        let image_path = folder.join(&name);
        photo(width, height, index).save(&image_path).map_err(|error| Error::Scene {
            why: format!("its photo `{}` could not be written: {error}", image_path.display()),
        })?;
        let angle = std::f64::consts::TAU * f64::from(index) / f64::from(VIEWS);
        let eye = DVec3::new(CAMERA_RADIUS * angle.cos(), -CAMERA_HEIGHT, CAMERA_RADIUS * angle.sin());
        let cam_from_world = Pose::look_at(eye, DVec3::ZERO, -DVec3::Y);
        let (mask_path, rolling_shutter) = (None, None);
        scene.views.push(View {
            name,
            image_path,
            mask_path,
            lens: lens.clone(),
            cam_from_world,
            rolling_shutter,
        });
    }
    scene.points = points(gaussians);
    Ok(scene)
}

fn photo(width: u32, height: u32, index: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |period: f64, phase: u32| {
            let at = f64::from(x + phase * 7) / period + f64::from(y * (phase + 1)) / (1.7 * period);
            (127.0 + 120.0 * (at + f64::from(index)).sin()) as u8
        };
        Rgb([wave(9.0, 0), wave(23.0, 1), wave(61.0, 2)])
    })
}

fn points(count: u32) -> Vec<SeedPoint> {
    const PURPOSE: u64 = 0x6265_6e63; // "benc"
    let mut random = Random::new(1, PURPOSE, 0);
    let balls: Vec<(DVec3, f64)> = (0..BALLS)
        .map(|_| {
            let radius = 0.1 + 0.3 * random.uniform();
            let [x, z] = [0, 1].map(|_| 1.8 * (2.0 * random.uniform() - 1.0));
            (DVec3::new(x, -radius, z), radius)
        })
        .collect();
    (0..count)
        .map(|index| {
            let direction = DVec3::from_array([0, 1, 2].map(|_| random.normal())).normalize_or(DVec3::X);
            let [a, b] = [0, 1].map(|_| FLOOR * (2.0 * random.uniform() - 1.0));
            let at = match index % 10 {
                0..4 => DVec3::new(a, 0.0, b),
                4..8 => {
                    let (centre, radius) = balls[(random.uniform() * BALLS as f64) as usize % BALLS];
                    centre + radius * direction
                }
                _ => DOME_RADIUS * DVec3::new(direction.x, -direction.y.abs(), direction.z),
            };
            let rgb = at.to_array().map(|x| (127.0 + 120.0 * (5.0 * x).sin()) as u8);
            SeedPoint { position: at.to_array(), rgb }
        })
        .collect()
}
