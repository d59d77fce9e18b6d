//! PLY files of 3-D Gaussian splatting, read and written.
//!
//! One element `vertex` with a property for each stored number: `x y z`, optionally `nx ny nz`,
//! `f_dc_0..2`, `f_rest_*` (9, 24 or 45 for degree 1, 2 or 3, all of red, then green, then blue),
//! `opacity` (logit), `scale_0..2` (ln), `rot_0..3` (w,x,y,z); instead of `f_dc_0..2`, `red green blue` are read. World axes are COLMAP's.
//! Properties are found by name, in any order and of any type. PlayCanvas's compressed PLY is read and written too.
//!
//! The header is parsed by `ply-rs-bw`, the rows are not: that crate looks up every value by name through a trait (62 million
//! look-ups for a million splats of degree 3; measured: 7 times slower to read and 4 times to write), and its ASCII grammar does
//! not allow `nan`, rows with which must be dropped and counted.

mod chunks;
mod compressed;
mod header;
mod rows;
mod write;
mod write_compressed;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::formats::HARMONICS_DROPPED;
use crate::formats::{SplatRenderMode, SplatScene};
use crate::scene::SeedPoint;
use crate::{Error, Result};

pub use write::{PlyOptions, write};
pub(crate) use write_compressed::write_compressed;

/// Reads a 3DGS PLY: ASCII, or binary of either byte order, degree 0 to 3 (of degree 4, the first three), or PlayCanvas's
/// compressed one.
///
/// Bytes after the last row are ignored.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read; [`Error::Malformed`] if it is not a PLY, another kind of PLY (mesh, point cloud),
/// truncated, or contradicts its header.
pub fn read(path: &Path) -> Result<SplatScene> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read_error)?;
    let bytes = file.metadata().map_err(read_error)?.len();
    read_from(&mut BufReader::with_capacity(1 << 18, file), bytes, path)
}

/// As [`read`], from any source of `size_bytes` bytes; `path` is used in errors.
///
/// The size bounds allocations: a header cannot claim more rows than its file contains.
///
/// # Errors
/// As [`read`].
pub fn read_from(reader: &mut impl BufRead, size_bytes: u64, path: &Path) -> Result<SplatScene> {
    let header = header::read(reader, path)?;
    let remaining = size_bytes.saturating_sub(header.byte_len);
    let mut scene = SplatScene {
        render_mode: render_mode(&header.ply.comments),
        origin: header.ply.comments.iter().find_map(|comment| origin_of(comment)).unwrap_or_default(),
        near: header.ply.comments.iter().find_map(|comment| near_of(comment)),
        comments: header.ply.comments.clone(),
        ..SplatScene::default()
    };
    if compressed::matches(&header) {
        scene.cloud = compressed::read_cloud(reader, &header, remaining, path)?;
    } else {
        let layout = header::Layout::new(&header, path)?;
        scene.notes.extend(layout.dropped_harmonics.then(|| HARMONICS_DROPPED.to_owned()));
        scene.cloud = rows::read_cloud(reader, &header, &layout, remaining, path)?;
    }
    scene.settle()?;
    Ok(scene)
}

/// Reads the points of a point cloud (`x y z`, and `red green blue` if present; grey otherwise) as seed points for training.
/// Points that are not finite are dropped.
///
/// # Errors
/// As [`read`].
pub fn read_points(path: &Path) -> Result<Vec<SeedPoint>> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read_error)?;
    let bytes = file.metadata().map_err(read_error)?.len();
    let mut reader = BufReader::with_capacity(1 << 18, file);
    let header = header::read(&mut reader, path)?;
    let (layout, fractions) = header::Layout::of_points(&header, path)?;
    let remaining = bytes.saturating_sub(header.byte_len);
    let mut points = Vec::new();
    let to_byte = |value: f32| if fractions { (value * 255.0).round() as u8 } else { value as u8 };
    rows::read_rows(&mut reader, &header, &layout, remaining, path, &mut |row| {
        let [x, y, z, colour @ ..] = row else { return };
        let rgb = <[f32; 3]>::try_from(colour).map_or([128; 3], |rgb| rgb.map(to_byte));
        if x.is_finite() && y.is_finite() && z.is_finite() {
            points.push(SeedPoint { position: [*x, *y, *z].map(f64::from), rgb });
        }
    })?;
    Ok(points)
}

const MODE_COMMENT: &str = "SplatRenderMode:";

fn mode_of(comment: &str) -> Option<SplatRenderMode> {
    if let Some(mode) = comment.trim().strip_prefix(MODE_COMMENT) {
        return SplatRenderMode::from_name(mode.trim());
    }
    match comment.trim().strip_prefix("antialiased")?.trim() {
        "1" => Some(SplatRenderMode::Mip),
        "0" => Some(SplatRenderMode::Default),
        _ => None,
    }
}

const ORIGIN_COMMENT: &str = "SplatOrigin:";
const NEAR_COMMENT: &str = "SplatNear:";

fn origin_of(comment: &str) -> Option<[f64; 3]> {
    let numbers = comment.trim().strip_prefix(ORIGIN_COMMENT)?.split_whitespace().map(|n| n.parse().ok());
    let origin: [f64; 3] = numbers.collect::<Option<Vec<f64>>>()?.try_into().ok()?;
    origin.iter().all(|x| x.is_finite()).then_some(origin)
}

fn near_of(comment: &str) -> Option<f32> {
    let near: f32 = comment.trim().strip_prefix(NEAR_COMMENT)?.trim().parse().ok()?;
    (near.is_finite() && near > 0.0).then_some(near)
}

fn render_mode(comments: &[String]) -> SplatRenderMode {
    comments.iter().find_map(|comment| mode_of(comment)).unwrap_or_default()
}

fn malformed(path: &Path, what: impl Into<String>) -> Error {
    Error::Malformed { path: path.to_owned(), format: "3DGS PLY", what: what.into() }
}

/// Names of the properties except `f_rest_*`, in the order of rows in memory: mean, quaternion, log-scale, opacity logit,
/// constant harmonic.
const CORE: [&str; 14] = [
    "x", "y", "z", "rot_0", "rot_1", "rot_2", "rot_3", "scale_0", "scale_1", "scale_2", "opacity", "f_dc_0",
    "f_dc_1", "f_dc_2",
];

/// Number of `f_rest_*` for each degree.
const REST: [usize; 4] = [0, 9, 24, 45];
/// Number of `f_rest_*` of degree 4, of which the last nine coefficients per channel are dropped.
const REST_OF_DEGREE_4: usize = 72;

#[cfg(test)]
pub(super) mod tests;
