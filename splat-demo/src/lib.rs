//! Photos without a camera: a built-in still life, photographed by a ray tracer on the CPU.
//!
//! `splat demo` and the tests need photos without a download. This crate renders them as a phone
//! would store them: JPEG files with EXIF focal length, some stored on their side with an orientation tag, taken
//! on a ring around a courtyard scene with painted boxes, rocks, a column and flagstones.
//!
//! | part | what it does |
//! | --- | --- |
//! | `noise` | seeded patterns |
//! | `shapes` | solids and where rays meet them |
//! | `material` | what surfaces look like |
//! | `scene` | what stands where |
//! | `light` | sun, sky and soft shadows, worked out once into light maps |
//! | `exposure` | rays to pixels, sensor noise |
//! | `exif` | the metadata block |
//!
//! Start at [`photograph`]. The same options give the same bytes on the same machine.

mod exif;
mod exposure;
mod light;
mod material;
mod noise;
mod scene;
mod shapes;

use std::io::Write as _;
use std::path::Path;

use glam::{DQuat, DVec2, DVec3};
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use splat_core::{
    CancelToken, Error, Lens, LensModel, Pose, Result, RollingShutter, ShutterDirection, files,
};

/// JPEG quality of the photos, as a phone saves them.
const JPEG_QUALITY: u8 = 92;
/// Mean distance of the cameras from the middle of the scene, in metres.
pub const RING_RADIUS: f64 = 2.35;
/// Where the cameras look, metres above the middle of the ground.
const AIM_HEIGHT: f64 = 0.42;

/// What to photograph, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoOptions {
    /// Number of photos, once around.
    pub views: u32,
    /// Seed of rocks, pebbles, patterns and camera shake.
    pub seed: u64,
    /// The camera, as its sensor is read out: its size is that of the stored pictures.
    pub lens: Lens,
    /// Whether some photos are taken with the camera turned, and carry an orientation tag.
    pub turned: bool,
    /// Read the sensor line by line in this order, while the photographer walks on; `None`: all at once.
    pub rolling_shutter: Option<ShutterDirection>,
}

impl DemoOptions {
    /// 30 photos of a phone-like camera with a mild distortion, at the given size.
    #[must_use]
    pub fn sized(width: u32, height: u32) -> Self {
        let (w, h) = (f64::from(width), f64::from(height));
        // 27 mm equivalent, as phones have; barrel distortion of a pixel or so near the border.
        let lens = Lens {
            model: LensModel::SimpleRadial,
            width,
            height,
            params: vec![0.625 * w.hypot(h), 0.5 * w, 0.5 * h, -0.03],
        };
        Self { views: 30, seed: 1, lens, turned: true, rolling_shutter: None }
    }
}

impl Default for DemoOptions {
    fn default() -> Self {
        Self::sized(640, 480)
    }
}

/// One photo that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoPhoto {
    /// File name, without a folder.
    pub name: String,
    /// EXIF orientation: 1, 3, 6 or 8.
    pub orientation: u16,
    /// World (metres, z up) to the camera of the upright picture, which is what the photo shows once its
    /// orientation is applied.
    pub cam_from_world: Pose,
    /// How the camera moved while the photo was taken; `cam_from_world` is its middle.
    pub rolling_shutter: Option<RollingShutter>,
}

/// True camera poses of the photos; for tests, not written to disk.
#[derive(Clone, Debug, PartialEq)]
pub struct DemoTruth {
    /// In the order of their names.
    pub photos: Vec<DemoPhoto>,
    /// The lens, at the size of the stored (not turned) pictures.
    pub lens: Lens,
}

/// File in the folder of photos with the options they were rendered with, so that the next call can continue. Hidden, so that
/// programs do not mistake it for a photo.
const RECORD: &str = ".demo.txt";

/// Takes the photos and writes them to `out_dir`, which is made if missing. Photos that an earlier call with the same options left
/// there are kept; those of other options are removed.
///
/// `progress` is called with the number of finished photos and their total.
///
/// # Errors
/// [`Error::InvalidLens`], [`Error::Write`], or [`Error::Cancelled`] between two photos.
pub fn photograph(
    out_dir: &Path,
    options: &DemoOptions,
    progress: &(dyn Fn(u32, u32) + Sync),
    cancel: &CancelToken,
) -> Result<DemoTruth> {
    let DemoOptions { views, seed, lens, turned, rolling_shutter } = options;
    lens.validate()?;
    let Some(projector) = lens.projector() else {
        return Err(Error::InvalidLens { model: lens.model.name(), what: "no ray meets its picture".into() });
    };
    files::make_dir(out_dir)?;
    let goes_on = begin(out_dir, options)?;
    let seed = (*seed ^ (*seed >> 32)) as u32;
    let set = exposure::Set::new(seed);
    let mut photos = Vec::new();
    progress(0, *views);
    for index in 0..*views {
        cancel.check()?;
        let orientation = if *turned { orientation(index) } else { 1 };
        let cam_from_world = pose(index, *views, seed);
        let rolling_shutter = rolling_shutter.map(|direction| walk(&cam_from_world, direction, index, seed));
        let ray_through = |place: DVec2| {
            let ray = projector.unproject(place)?;
            let pose = rolling_shutter.map_or(cam_from_world, |shutter| {
                shutter.pose_at(shutter.direction.time_at(place, lens.width, lens.height))
            });
            let world_from_sensor =
                (sensor_from_upright(orientation) * pose.rotation).conjugate().normalize();
            Some((pose.centre(), world_from_sensor * ray))
        };
        let name = photo_name(index);
        let path = out_dir.join(&name);
        if !(goes_on && path.is_file()) {
            let picture = set.expose(lens.width, lens.height, seed ^ (index + 1), &ray_through);
            let bytes = encode(&picture, lens, orientation, out_dir)?;
            files::write_atomically(&path, |out| out.write_all(&bytes))?;
        }
        let cam_from_world = rolling_shutter.map_or(cam_from_world, |shutter| shutter.middle());
        photos.push(DemoPhoto { name, orientation, cam_from_world, rolling_shutter });
        progress(index + 1, *views);
    }
    Ok(DemoTruth { photos, lens: lens.clone() })
}

fn photo_name(index: u32) -> String {
    format!("photo_{:03}.jpg", index + 1)
}

/// Whether the photos in `out_dir` are of the same options and can be kept; otherwise those of an earlier call are removed and
/// the options recorded.
fn begin(out_dir: &Path, options: &DemoOptions) -> Result<bool> {
    let record = out_dir.join(RECORD);
    let new = format!("{} {options:?}\n", env!("CARGO_PKG_VERSION"));
    match std::fs::read_to_string(&record) {
        Ok(earlier) if earlier == new => return Ok(true),
        Ok(_) => {
            for entry in std::fs::read_dir(out_dir).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let number = name.to_str().and_then(|name| name.strip_prefix("photo_")?.strip_suffix(".jpg"));
                if number.is_some_and(|number| number.parse::<u32>().is_ok()) {
                    std::fs::remove_file(entry.path())
                        .map_err(|error| files::write_error(&entry.path(), error))?;
                }
            }
        }
        Err(_) => {}
    }
    files::write_atomically(&record, |out| out.write_all(new.as_bytes()))?;
    Ok(false)
}

/// How the photographer held the camera: mostly level, at times upside down, at times upright.
fn orientation(index: u32) -> u16 {
    match index % 10 {
        3 => 3,
        6 => 6,
        9 => 8,
        _ => 1,
    }
}

/// Turns camera axes of the upright picture to those of the sensor.
///
/// Orientation 6 is shown turned by 90 degrees clockwise, 3 by 180, 8 by 270: x to y, in a picture
/// whose y points down, is clockwise.
fn sensor_from_upright(orientation: u16) -> DQuat {
    let clockwise = match orientation {
        3 => 180.0_f64,
        6 => 90.0,
        8 => 270.0,
        _ => 0.0,
    };
    DQuat::from_rotation_z(-clockwise.to_radians())
}

/// The camera carried along by 16 cm and turned by some 10 degrees while a photo is read out: camera shake.
fn walk(middle: &Pose, direction: ShutterDirection, index: u32, seed: u32) -> RollingShutter {
    let chance = |k: u32| f64::from(noise::random(index * 8 + k, seed ^ 0x3a17)) - 0.5;
    let step = DVec3::new(0.08 * (chance(0).signum()), 0.06 * chance(1), 0.04 * chance(2));
    let turn = DVec3::new(0.04 * chance(3), 0.09 * chance(4).signum(), 0.04 * chance(5));
    let [start, end] = [-1.0, 1.0].map(|time| {
        let turned = DQuat::from_scaled_axis(time * turn);
        Pose { rotation: turned * middle.rotation, translation: turned * middle.translation + time * step }
    });
    RollingShutter { direction, start, end }
}

/// The `index`-th stand on the ring: height, distance and aim change like those of a careful amateur.
fn pose(index: u32, views: u32, seed: u32) -> Pose {
    let chance = |k: u32| f64::from(noise::random(index * 8 + k, seed ^ 0x9051)) - 0.5;
    let turn = std::f64::consts::TAU / f64::from(views.max(1));
    let angle = turn * (f64::from(index) + 0.5 * chance(0));
    let radius = RING_RADIUS + 0.3 * chance(1);
    let height = 1.25 + 0.45 * (2.6 * f64::from(index)).sin() + 0.2 * chance(2);
    let eye = DVec3::new(radius * angle.cos(), radius * angle.sin(), height);
    let aim = DVec3::new(0.25 * chance(3), 0.25 * chance(4), AIM_HEIGHT + 0.12 * chance(5));
    let down = DVec3::new(0.08 * chance(6), 0.08 * chance(7), -1.0);
    Pose::look_at(eye, aim, down)
}

fn encode(picture: &image::RgbImage, lens: &Lens, orientation: u16, out_dir: &Path) -> Result<Vec<u8>> {
    let failed = |source: std::io::Error| Error::Write {
        path: out_dir.to_path_buf(),
        hint: "the picture could not be encoded; choose a size that JPEG allows (up to 65,535 a side)",
        source,
    };
    let focal_px = lens.split().map(|([fx, fy, ..], _)| 0.5 * (fx + fy));
    let block = exif::block(lens.width, lens.height, focal_px, orientation)
        .ok_or_else(|| failed(std::io::Error::other("the EXIF block was refused")))?;
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
    encoder.set_exif_metadata(block).map_err(|error| failed(std::io::Error::other(error)))?;
    encoder
        .write_image(picture, lens.width, lens.height, ExtendedColorType::Rgb8)
        .map_err(|error| failed(std::io::Error::other(error)))?;
    Ok(bytes)
}
