//! Scenes as files: the PLY form of 3-D Gaussian splatting, in and out.
//!
//! One element `vertex` with a property for each stored number: `x y z`, optionally `nx ny nz`,
//! `f_dc_0..2`, `f_rest_*` (9, 24 or 45 for degree 1, 2 or 3, all of red, then green, then blue),
//! `opacity` (logit), `scale_0..2` (ln), `rot_0..3` (w,x,y,z). World axes are COLMAP's.
//! Properties are found by name, whatever their order and type.
//!
//! The header goes through `ply-rs-bw`. The rows do not: its reader and writer look every value up by
//! name through a trait (a million splats of degree 3 are 62 million look-ups; measured: 7 times the time to
//! read and 4 times the time to write), and its ASCII grammar has no `nan`, rows of which are to be
//! dropped and counted.

mod header;
mod rows;
mod write;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::gaussians::GaussianCloud;
use crate::render::RendererKind;
use crate::scene::SeedPoint;
use crate::{Error, Result};

pub use write::{PlyOptions, write};

/// How a scene was trained to be drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplatRenderMode {
    /// Plain 3DGS: a fixed low-pass of 0.3 square pixels.
    #[default]
    Default,
    /// With the low-pass compensated in the opacity (Mip-Splatting, `antialiased`).
    Mip,
    /// Evaluated along rays, without a low-pass (3DGUT).
    #[serde(rename = "3dgut")]
    Gut,
    /// Flat splats (2DGS).
    #[serde(rename = "2dgs")]
    TwoD,
}

/// What a PLY file held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlyScene {
    /// The Gaussians, in the file's order.
    pub cloud: GaussianCloud,
    /// The header's comments, without the word `comment`.
    pub comments: Vec<String>,
    /// World coordinates that the means count from: the comment `SplatOrigin: x y z`, zero without. Scenes in a survey's
    /// coordinates have one, since f32 cannot hold them.
    pub origin: [f64; 3],
    /// Gaussians nearer to a camera than this were not drawn in training, world units: the comment `SplatNear: ...`.
    pub near: Option<f32>,
    /// From the comments `SplatRenderMode: ...` and `antialiased ...`; plain without either.
    pub render_mode: SplatRenderMode,
    /// Rows in which an infinite opacity or scale was replaced by the nearest value that computes.
    pub clamped_rows: usize,
    /// Rows left out because a value in them was not finite.
    pub dropped_rows: usize,
}

/// Reads a 3DGS PLY: ASCII or binary of either byte order, degree 0 to 3.
///
/// Bytes after the last row are ignored.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read; [`Error::Malformed`] if it is no PLY, a PLY of
/// another kind (mesh, point cloud, compressed), breaks off, or contradicts its header.
pub fn read(path: &Path) -> Result<PlyScene> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(read_error)?;
    let bytes = file.metadata().map_err(read_error)?.len();
    read_from(&mut BufReader::with_capacity(1 << 18, file), bytes, path)
}

/// As [`read`], from any source of `size_bytes` bytes; `path` is what errors call it.
///
/// The size bounds what is allocated: a header cannot claim more rows than its file holds.
///
/// # Errors
/// As [`read`].
pub fn read_from(reader: &mut impl BufRead, size_bytes: u64, path: &Path) -> Result<PlyScene> {
    let header = header::read(reader, path)?;
    let layout = header::Layout::new(&header, path)?;
    let remaining = size_bytes.saturating_sub(header.byte_len);
    let mut scene = PlyScene {
        render_mode: render_mode(&header.ply.comments),
        origin: header.ply.comments.iter().find_map(|comment| origin_of(comment)).unwrap_or_default(),
        near: header.ply.comments.iter().find_map(|comment| near_of(comment)),
        comments: header.ply.comments.clone(),
        ..PlyScene::default()
    };
    scene.cloud = rows::read_cloud(reader, &header, &layout, remaining, path)?;
    scene.clamped_rows = scene.cloud.clamp_infinite();
    scene.dropped_rows = scene.cloud.retain_finite()?;
    Ok(scene)
}

/// Reads the points of a point cloud (`x y z`, and `red green blue` where it has them; grey where not):
/// what training starts from. Points that are not finite are left out.
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

impl SplatRenderMode {
    /// The renderer that draws it as it was trained.
    #[must_use]
    pub const fn renderer(self) -> RendererKind {
        match self {
            Self::Gut => RendererKind::Gut,
            Self::Default | Self::Mip | Self::TwoD => RendererKind::Ewa,
        }
    }
}

const MODE_COMMENT: &str = "SplatRenderMode:";

fn mode_of(comment: &str) -> Option<SplatRenderMode> {
    if let Some(mode) = comment.trim().strip_prefix(MODE_COMMENT) {
        return match mode.trim() {
            "default" => Some(SplatRenderMode::Default),
            "mip" => Some(SplatRenderMode::Mip),
            "3dgut" => Some(SplatRenderMode::Gut),
            "2dgs" => Some(SplatRenderMode::TwoD),
            _ => None,
        };
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

/// Names of the properties besides `f_rest_*`, in the order of the rows in memory: mean, quaternion,
/// log-scale, opacity logit, constant harmonic.
const CORE: [&str; 14] = [
    "x", "y", "z", "rot_0", "rot_1", "rot_2", "rot_3", "scale_0", "scale_1", "scale_2", "opacity", "f_dc_0",
    "f_dc_1", "f_dc_2",
];

/// Number of `f_rest_*` for each degree.
const REST: [usize; 4] = [0, 9, 24, 45];

#[cfg(test)]
mod tests;
