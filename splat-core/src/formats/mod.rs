//! File formats of scenes: PLY, compressed PLY, SPZ, SOG, `.splat` and glTF (read and write), `.ksplat` (read).
//!
//! Start at [`read`] and [`write()`]. The format is detected from the first bytes, and from the name if there is no signature.
//! Whatever axes a format uses, those of a [`SplatScene`] are COLMAP's (x right, y down, z forward).

mod axes;
mod gltf;
mod gzip;
mod ksplat;
mod mode;
pub(crate) mod morton;
pub mod ply;
pub(crate) mod quantize;
mod region;
mod sog;
mod splat;
mod spz;

use std::borrow::Cow;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use glam::{DMat3, DQuat, DVec3};

use crate::content::Content;
use crate::gaussians::GaussianCloud;
pub use crate::gaussians::ShRotation;
use crate::{Error, Result};
use ply::PlyOptions;

pub use mode::SplatRenderMode;
pub use region::{NotARegion, Region};

/// Note for files with harmonics above the third degree.
pub(crate) const HARMONICS_DROPPED: &str =
    "its harmonics of degree 4 are left out: 3 is the most that is drawn";

/// Content of a file of splats.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SplatScene {
    /// The Gaussians, in the file's order.
    pub cloud: GaussianCloud,
    /// Comments of a PLY header, without the word `comment`.
    pub comments: Vec<String>,
    /// World coordinates of the origin of the means: the comment `SplatOrigin: x y z`, zero without it. Scenes in survey
    /// coordinates have one, since f32 lacks the precision.
    pub origin: [f64; 3],
    /// Near plane used in training, world units: the comment `SplatNear: ...`.
    pub near: Option<f32>,
    /// From the comments `SplatRenderMode: ...` and `antialiased ...`, or SPZ's flag; the default if there is neither.
    pub render_mode: SplatRenderMode,
    /// Number of Gaussians in which an infinite opacity or scale was clamped to the nearest usable value.
    pub clamped_rows: usize,
    /// Number of Gaussians dropped because of a value that is not finite.
    pub dropped_rows: usize,
    /// Parts of the file that were changed or ignored, as sentences.
    pub notes: Vec<String>,
}

impl SplatScene {
    /// Clamps infinite values, drops Gaussians with other non-finite ones, and counts both.
    pub(crate) fn settle(&mut self) -> Result<()> {
        self.clamped_rows = self.cloud.clamp_infinite();
        self.dropped_rows = self.cloud.retain_finite()?;
        Ok(())
    }

    /// Rotates the scene about the world's origin, by the smallest angle, so that the direction `up` (of any length) becomes -y.
    pub fn turn_up(&mut self, up: [f64; 3]) {
        let rotation =
            DQuat::from_rotation_arc(DVec3::from_array(up).normalize_or(DVec3::NEG_Y), DVec3::NEG_Y);
        self.cloud.transform(DMat3::from_quat(rotation), 1.0, DVec3::ZERO);
        self.origin = (rotation * DVec3::from_array(self.origin)).to_array();
    }

    /// Scales the scene by a positive factor.
    pub fn rescale(&mut self, factor: f64) {
        self.cloud.transform(DMat3::IDENTITY, factor, DVec3::ZERO);
        self.origin = self.origin.map(|value| value * factor);
        self.near = self.near.map(|near| near * factor as f32);
    }

    /// Moves the centre of [`GaussianCloud::framing_bounds`] to the world's origin.
    pub fn recentre(&mut self) {
        let Some([low, high]) = self.cloud.framing_bounds() else { return };
        let middle = DVec3::from_array(low).midpoint(DVec3::from_array(high));
        self.cloud.transform(DMat3::IDENTITY, 1.0, -middle);
        self.origin = [0.0; 3];
    }
}

/// An output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The PLY of the 3DGS authors: lossless.
    Ply,
    /// PlayCanvas's compressed PLY.
    CompressedPly,
    /// Niantic's SPZ.
    Spz(SpzVersion),
    /// PlayCanvas's SOG, version 2, as one zip.
    Sog,
    /// antimatter15's `.splat`, without view-dependent colour.
    Splat,
    /// Binary glTF with `KHR_gaussian_splatting`.
    Glb,
}

/// Output versions of SPZ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SpzVersion {
    /// gzip, quaternions of three bytes.
    V2,
    /// gzip, quaternions of four bytes: supported by most readers.
    #[default]
    V3,
    /// Zstandard streams.
    V4,
}

impl Format {
    /// File extensions of output formats; longer ones first.
    pub const EXTENSIONS: [(&'static str, Self); 6] = [
        ("compressed.ply", Self::CompressedPly),
        ("ply", Self::Ply),
        ("spz", Self::Spz(SpzVersion::V3)),
        ("sog", Self::Sog),
        ("splat", Self::Splat),
        ("glb", Self::Glb),
    ];

    /// The format with this file name's extension, ignoring case.
    #[must_use]
    pub fn of_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let ends = |extension: &str| name.strip_suffix(extension).is_some_and(|stem| stem.ends_with('.'));
        Self::EXTENSIONS.into_iter().find(|(extension, _)| ends(extension)).map(|(_, format)| format)
    }

    /// The format with this extension, one of [`Format::EXTENSIONS`].
    #[must_use]
    pub fn from_extension(name: &str) -> Option<Self> {
        Self::EXTENSIONS.into_iter().find(|(extension, _)| *extension == name).map(|(_, format)| format)
    }

    /// The file extension, without the leading dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        let alike =
            |(_, format): &(&str, Self)| std::mem::discriminant(format) == std::mem::discriminant(&self);
        Self::EXTENSIONS.iter().find(|entry| alike(entry)).map_or("ply", |(extension, _)| extension)
    }
}

/// Whether the path may be a scene rather than a dataset: a file that is not JSON text, or an unpacked SOG.
#[must_use]
pub fn is_scene(path: &Path) -> bool {
    if path.is_dir() {
        return sog::is_folder(path);
    }
    let text = matches!(Content::of_file(path), Ok(Some(Content::Json | Content::Text)));
    let gltf = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gltf"));
    path.is_file() && (!text || gltf || is_meta(path))
}

/// Whether this is the `meta.json` of an unpacked SOG.
fn is_meta(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "meta.json") && path.parent().is_some_and(sog::is_folder)
}

/// Reads a scene in any supported format.
///
/// # Errors
/// [`Error::Read`] if the file cannot be read; [`Error::Malformed`] if its format is not supported, or it is truncated or
/// inconsistent.
pub fn read(path: &Path) -> Result<SplatScene> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    if path.is_dir() {
        return sog::read_folder(path);
    }
    if is_meta(path) {
        return sog::read_folder(path.parent().unwrap_or(path));
    }
    let named = |extension: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension));
    let mut scene = match Content::of_file(path).map_err(read_error)? {
        Some(Content::Ply | Content::CompressedPly) => return ply::read(path),
        Some(Content::Spz) => spz::read(&bytes(path)?, path)?,
        Some(Content::Sog) => sog::read(path)?,
        Some(Content::Zip) if named("sog") => sog::read(path)?,
        Some(Content::Glb) => gltf::read(path)?,
        Some(Content::Json) if named("gltf") => gltf::read(path)?,
        Some(Content::Ksplat) => ksplat::read(&bytes(path)?, path)?,
        // The positions in a .splat may look like text or zeros by chance, and so may the header of a .ksplat.
        Some(Content::Text | Content::Zeros | Content::Utf16) | None if named("splat") => {
            splat::read(&bytes(path)?, path)?
        }
        Some(Content::Splat) => splat::read(&bytes(path)?, path)?,
        Some(other) => return Err(malformed(path, "scene", other.sentence())),
        None => {
            let what =
                "its first bytes are those of no form that is read: PLY, SPZ, SOG, glTF, .splat and .ksplat";
            return Err(malformed(path, "scene", what));
        }
    };
    scene.settle()?;
    Ok(scene)
}

/// Result of writing a scene.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Number of Gaussians omitted because of a value that is not finite.
    pub left_out: usize,
    /// Degree of the spherical harmonics written.
    pub sh_degree: u32,
    /// What the format cannot represent, as sentences.
    pub notes: Vec<String>,
}

/// Writes a scene, atomically. The same scene gives the same bytes.
///
/// # Errors
/// [`Error::Cloud`] if the cloud's parts are inconsistent or the format cannot represent it; [`Error::Write`].
pub fn write(path: &Path, format: Format, scene: &SplatScene) -> Result<Written> {
    let cloud = finite(&scene.cloud)?;
    let cloud = cloud.as_ref();
    let left_out = scene.cloud.len() - cloud.len();
    let options = PlyOptions {
        comments: scene.comments.clone(),
        render_mode: (scene.render_mode != SplatRenderMode::Default).then_some(scene.render_mode),
        origin: scene.origin,
        near: scene.near,
        ..PlyOptions::default()
    };
    let mut notes = Vec::new();
    let mut sh_degree = if format == Format::Splat { 0 } else { cloud.sh_degree };
    if !matches!(format, Format::Ply | Format::CompressedPly) {
        if scene.origin != [0.0; 3] {
            let [x, y, z] = scene.origin;
            notes.push(format!(
                "positions count from the world's point {x} {y} {z}, which this format cannot say"
            ));
        }
        let antialiased = scene.render_mode == SplatRenderMode::Mip && matches!(format, Format::Spz(_));
        if scene.render_mode != SplatRenderMode::Default && !antialiased {
            let mode = scene.render_mode.name();
            notes.push(format!("it was trained to be drawn as `{mode}`, which this format cannot say"));
        }
    }
    match format {
        Format::Ply => ply::write(path, cloud, &options).map(drop)?,
        Format::CompressedPly => sh_degree = ply::write_compressed(path, cloud, &options)?,
        Format::Spz(version) => spz::write(path, cloud, version, scene.render_mode == SplatRenderMode::Mip)?,
        Format::Sog => notes.extend(sog::write(path, cloud)?),
        Format::Splat => {
            if cloud.sh_degree > 0 {
                notes.push("colours that depend on the direction are left out: .splat has none".into());
            }
            splat::write(path, cloud)?
        }
        Format::Glb => gltf::write(path, cloud)?,
    }
    Ok(Written { left_out, sh_degree, notes })
}

/// The cloud without Gaussians that are not finite. Copied only if there are any, since a scene may fill half of the memory.
fn finite(cloud: &GaussianCloud) -> Result<Cow<'_, GaussianCloud>> {
    cloud.validate()?;
    if cloud.finite_rows().into_iter().all(|finite| finite) {
        return Ok(Cow::Borrowed(cloud));
    }
    let mut copy = cloud.clone();
    copy.clamp_infinite();
    copy.retain_finite()?;
    Ok(Cow::Owned(copy))
}

/// Reads the whole file, for formats that are much smaller than the scene in memory.
fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|source| Error::Read { path: path.to_owned(), source })
}

fn malformed(path: &Path, format: &'static str, what: impl Into<String>) -> Error {
    Error::Malformed { path: PathBuf::from(path), format, what: what.into() }
}

/// The `N` bytes at an offset; `None` past the end.
fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
