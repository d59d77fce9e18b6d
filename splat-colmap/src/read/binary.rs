//! The binary form: little-endian records after a count.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use glam::{DQuat, DVec3};
use splat_core::{Lens, LensModel, Pose};

use crate::error::{ColmapError, Place, Result, read_error};
use crate::model::{Point2d, Point3d, PosedImage, TrackElement};

/// Number, model, width, height, and the two parameters of the shortest model.
const MIN_CAMERA_BYTES: u64 = 4 + 4 + 8 + 8 + 2 * 8;
/// Number, quaternion, translation, camera, an empty name's end, feature count.
const MIN_IMAGE_BYTES: u64 = 4 + 4 * 8 + 3 * 8 + 4 + 1 + 8;
/// Position and point number.
const FEATURE_BYTES: u64 = 3 * 8;
/// Number, position, colour, error, track length.
const MIN_POINT_BYTES: u64 = 8 + 3 * 8 + 3 + 8 + 8;
/// Image and feature number.
const TRACK_BYTES: u64 = 4 + 4;
/// "No point" in a feature.
const NO_POINT: u64 = u64::MAX;

pub(super) fn cameras(path: &Path, bytes: &[u8]) -> Result<BTreeMap<u32, Lens>> {
    let mut reader = Reader::new(path, bytes);
    let mut cameras = BTreeMap::new();
    for _ in 0..reader.count(MIN_CAMERA_BYTES, "cameras")? {
        let start = reader.at;
        let id = reader.u32()?;
        let model_id = i32::from_le_bytes(reader.array()?);
        let Some(model) = LensModel::from_colmap_id(model_id) else {
            return Err(reader.malformed(start, format!("camera {id} has the unknown model {model_id}")));
        };
        let [width, height] = [reader.u64()?, reader.u64()?].map(u32::try_from);
        let (Ok(width), Ok(height)) = (width, height) else {
            return Err(reader.malformed(start, format!("camera {id} has an impossible image size")));
        };
        let params = (0..model.num_params()).map(|_| reader.f64()).collect::<Result<Vec<f64>>>()?;
        let lens = Lens { model, width, height, params };
        lens.validate().map_err(|error| reader.malformed(start, format!("in camera {id}, {error}")))?;
        if cameras.insert(id, lens).is_some() {
            return Err(reader.malformed(start, format!("there are two cameras {id}")));
        }
    }
    reader.end()?;
    Ok(cameras)
}

pub(super) fn images(path: &Path, bytes: &[u8]) -> Result<BTreeMap<u32, PosedImage>> {
    let mut reader = Reader::new(path, bytes);
    let mut images = BTreeMap::new();
    for _ in 0..reader.count(MIN_IMAGE_BYTES, "images")? {
        let start = reader.at;
        let id = reader.u32()?;
        let [w, x, y, z, tx, ty, tz] = reader.f64s()?;
        let Some(cam_from_world) = pose([w, x, y, z], [tx, ty, tz]) else {
            return Err(reader.malformed(start, format!("image {id} has an impossible pose")));
        };
        let camera_id = reader.u32()?;
        let name = reader.name()?;
        let features = reader.count(FEATURE_BYTES, "features")?;
        let mut points2d = Vec::with_capacity(features);
        for _ in 0..features {
            let xy = reader.f64s()?;
            let point = reader.u64()?;
            points2d.push(Point2d { xy, point3d_id: (point != NO_POINT).then_some(point) });
        }
        let image = PosedImage { name, camera_id, cam_from_world, points2d };
        if images.insert(id, image).is_some() {
            return Err(reader.malformed(start, format!("there are two images {id}")));
        }
    }
    reader.end()?;
    Ok(images)
}

pub(super) fn points(path: &Path, bytes: &[u8]) -> Result<BTreeMap<u64, Point3d>> {
    let mut reader = Reader::new(path, bytes);
    let mut points = BTreeMap::new();
    for _ in 0..reader.count(MIN_POINT_BYTES, "points")? {
        let start = reader.at;
        let id = reader.u64()?;
        let position = reader.f64s()?;
        let rgb = reader.array()?;
        let error = reader.f64()?;
        let length = reader.count(TRACK_BYTES, "track elements")?;
        let mut track = Vec::with_capacity(length);
        for _ in 0..length {
            track.push(TrackElement { image_id: reader.u32()?, point2d_index: reader.u32()? });
        }
        if points.insert(id, Point3d { position, rgb, error, track }).is_some() {
            return Err(reader.malformed(start, format!("there are two points {id}")));
        }
    }
    reader.end()?;
    Ok(points)
}

/// The count at the head of `images.bin`, refused if the file is too short to hold as many.
pub(super) fn count_images(path: &Path) -> Result<u64> {
    let mut head = Vec::new();
    let (read, size) = File::open(path)
        .and_then(|file| {
            let size = file.metadata()?.len();
            Ok((file.take(8).read_to_end(&mut head)?, size))
        })
        .map_err(|error| read_error(path, error))?;
    let mut reader = Reader::new(path, &head[..read]);
    let count = reader.u64()?;
    if count > size / MIN_IMAGE_BYTES {
        return Err(
            reader.malformed(0, format!("it claims {count} images, more than its {size} bytes can hold"))
        );
    }
    Ok(count)
}

/// From COLMAP's w,x,y,z and translation; `None` unless finite and not all zero.
pub(super) fn pose([w, x, y, z]: [f64; 4], translation: [f64; 3]) -> Option<Pose> {
    let rotation = DQuat::from_xyzw(x, y, z, w);
    let translation = DVec3::from_array(translation);
    let length = rotation.length();
    let usable = length.is_finite() && length > 1e-6 && translation.is_finite();
    usable.then(|| Pose { rotation: rotation.normalize(), translation })
}

/// A position in a file's bytes.
struct Reader<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(path: &'a Path, bytes: &'a [u8]) -> Self {
        Self { path, bytes, at: 0 }
    }

    fn malformed(&self, offset: usize, what: String) -> ColmapError {
        ColmapError::Malformed { path: self.path.to_owned(), place: Place::Byte(offset as u64), what }
    }

    fn left(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let Some(head) = self.left().first_chunk::<N>() else {
            return Err(self.malformed(self.at, "the file ends too early".to_owned()));
        };
        self.at += N;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn f64(&mut self) -> Result<f64> {
        self.array().map(f64::from_le_bytes)
    }

    fn f64s<const N: usize>(&mut self) -> Result<[f64; N]> {
        let mut values = [0.0; N];
        for value in &mut values {
            *value = self.f64()?;
        }
        Ok(values)
    }

    /// A count of records of at least `bytes_each`, checked against what is left of the file.
    fn count(&mut self, bytes_each: u64, what: &str) -> Result<usize> {
        let start = self.at;
        let count = self.u64()?;
        let left = self.left().len() as u64;
        match usize::try_from(count) {
            Ok(fits) if count <= left / bytes_each => Ok(fits),
            _ => Err(self
                .malformed(start, format!("it claims {count} {what}, more than the {left} bytes left hold"))),
        }
    }

    /// A name up to its zero byte. What is not UTF-8 is replaced: such a file will not be found, and
    /// is then named.
    fn name(&mut self) -> Result<String> {
        let left = self.left();
        let Some(length) = left.iter().position(|&byte| byte == 0) else {
            return Err(self.malformed(self.at, "a name has no end".to_owned()));
        };
        self.at += length + 1;
        Ok(String::from_utf8_lossy(&left[..length]).into_owned())
    }

    fn end(&self) -> Result<()> {
        match self.left().len() {
            0 => Ok(()),
            extra => Err(self.malformed(self.at, format!("{extra} bytes follow the last record"))),
        }
    }
}
