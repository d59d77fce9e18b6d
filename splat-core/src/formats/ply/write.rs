//! Writes a cloud as PLY.

use std::io::{self, Write};
use std::path::Path;

use ply_rs_bw::ply::{
    DefaultElement, ElementDef, Encoding, Header, KeyMap, PropertyDef, PropertyType, ScalarType, Version,
};
use ply_rs_bw::writer::Writer;

use super::{MODE_COMMENT, NEAR_COMMENT, ORIGIN_COMMENT, REST, mode_of, near_of, origin_of};
use crate::Result;
use crate::files;
use crate::formats::SplatRenderMode;
use crate::gaussians::GaussianCloud;

/// Gaussians buffered per write.
const ROWS_AT_ONCE: usize = 1024;

/// Header fields and options besides the Gaussians.
#[derive(Clone, Debug, PartialEq)]
pub struct PlyOptions {
    /// Header comments, one line each; line breaks become spaces.
    pub comments: Vec<String>,
    /// Whether to write `nx ny nz` as zeros, as in the 3DGS authors' files: 12 bytes per splat, for old viewers that count
    /// properties instead of reading their names.
    pub normals: bool,
    /// Written as the comment `SplatRenderMode: ...`, replacing one among the comments.
    pub render_mode: Option<SplatRenderMode>,
    /// World coordinates of the origin of the cloud's means. Unless zero, written as the comment `SplatOrigin: x y z`, replacing
    /// one among the comments.
    pub origin: [f64; 3],
    /// Written as the comment `SplatNear: ...`, replacing one among the comments: the near plane used in training, world units.
    pub near: Option<f32>,
}

impl Default for PlyOptions {
    fn default() -> Self {
        Self { comments: Vec::new(), normals: true, render_mode: None, origin: [0.0; 3], near: None }
    }
}

/// Writes a cloud as a binary little-endian 3DGS PLY; returns the number of Gaussians omitted because of a value that is not
/// finite.
///
/// Equal clouds and options give equal bytes. The file is written atomically: beside `path`, then renamed.
///
/// # Errors
/// [`crate::Error::Cloud`] if the cloud's parts are inconsistent; [`crate::Error::Write`], also on a full disk.
pub fn write(path: &Path, cloud: &GaussianCloud, options: &PlyOptions) -> Result<usize> {
    cloud.validate()?;
    let finite: Vec<bool> = cloud.finite_rows();
    let count = finite.iter().filter(|&&finite| finite).count();
    let header = header(count, cloud.sh_degree, options);
    files::write_atomically(path, |out| {
        Writer::<DefaultElement>::new().write_header(out, &header)?;
        write_rows(out, cloud, &finite, options.normals)
    })?;
    Ok(cloud.len() - count)
}

fn header(count: usize, sh_degree: u32, options: &PlyOptions) -> Header {
    let mut vertex = ElementDef::new("vertex".into());
    vertex.count = count;
    let names = |prefix: &'static str, count: usize| (0..count).map(move |i| format!("{prefix}{i}"));
    let normals: &[&str] = if options.normals { &["nx", "ny", "nz"] } else { &[] };
    let all = ["x", "y", "z"]
        .iter()
        .chain(normals)
        .map(|&name| name.to_owned())
        .chain(names("f_dc_", 3))
        .chain(names("f_rest_", REST[sh_degree.min(3) as usize]))
        .chain(["opacity".to_owned()])
        .chain(names("scale_", 3))
        .chain(names("rot_", 4));
    for name in all {
        vertex
            .properties
            .insert(name.clone(), PropertyDef::new(name, PropertyType::Scalar(ScalarType::Float)));
    }
    let mut elements = KeyMap::new();
    elements.insert("vertex".into(), vertex);
    Header {
        encoding: Encoding::BinaryLittleEndian,
        version: Version { major: 1, minor: 0 },
        obj_infos: Vec::new(),
        elements,
        comments: comments(options),
    }
}

/// The given comments, and those for the other options.
pub(super) fn comments(options: &PlyOptions) -> Vec<String> {
    let mode = options.render_mode.map(|mode| format!("{MODE_COMMENT} {}", mode.name()));
    let [x, y, z] = options.origin;
    let origin = (options.origin != [0.0; 3]).then(|| format!("{ORIGIN_COMMENT} {x} {y} {z}"));
    let near = options.near.map(|near| format!("{NEAR_COMMENT} {near}"));
    let kept = options.comments.iter().filter(|comment| {
        (mode.is_none() || mode_of(comment).is_none())
            && (origin.is_none() || origin_of(comment).is_none())
            && (near.is_none() || near_of(comment).is_none())
    });
    let kept = kept.map(|comment| comment.replace(['\n', '\r'], " "));
    kept.chain(mode.clone()).chain(origin.clone()).chain(near.clone()).collect()
}

fn write_rows(out: &mut impl Write, cloud: &GaussianCloud, finite: &[bool], normals: bool) -> io::Result<()> {
    let coeffs = cloud.coeffs_per_gaussian();
    let mut bytes = Vec::with_capacity(ROWS_AT_ONCE * (17 + 3 * coeffs) * size_of::<f32>());
    for (i, _) in finite.iter().enumerate().filter(|(_, finite)| **finite) {
        let mut put = |values: &[f32]| bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        put(&cloud.means[i]);
        if normals {
            put(&[0.0; 3]);
        }
        let [constant, rest @ ..] = &cloud.sh_coeffs[i * coeffs..(i + 1) * coeffs] else { continue };
        put(constant);
        for channel in 0..3 {
            rest.iter().for_each(|coefficient| put(&coefficient[channel..=channel]));
        }
        put(&[cloud.opacity_logits[i]]);
        put(&cloud.log_scales[i]);
        put(&cloud.quats[i]);
        if bytes.len() + (17 + 3 * coeffs) * size_of::<f32>() > bytes.capacity() {
            out.write_all(&bytes)?;
            bytes.clear();
        }
    }
    out.write_all(&bytes)
}
