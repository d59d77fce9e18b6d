//! glTF 2.0 with `KHR_gaussian_splatting`: point primitives with rotation, scale, opacity and spherical harmonics.
//!
//! Axes are x left, y up, z forward. The crate `gltf` rejects the extension's attribute names, so the JSON is parsed here.

mod accessor;
mod write;

use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;

use glam::{DMat3, DMat4, DQuat, DVec3};
use serde_json::Value;

use super::axes::HalfTurn;
use super::quantize::{f_dc, logit};
use super::{SplatScene, array, malformed, open};
use crate::gaussians::GaussianCloud;
use crate::plain::plain;
use crate::{Error, Result};

use accessor::Buffers;
pub(super) use write::write;

const EXTENSION: &str = "KHR_gaussian_splatting";
/// Prefix of the extensions that compress splats.
const PACKED: &str = "KHR_gaussian_splatting_compression";
/// Chunk types of a binary glTF.
const JSON: u32 = 0x4E4F_534A;
const BIN: u32 = 0x004E_4942;
/// Maximum depth of nodes; deeper ones are treated as a cycle.
const MAX_DEPTH: usize = 64;

pub(super) fn read(path: &Path) -> Result<SplatScene> {
    let refuse = |what: String| malformed(path, "glTF", what);
    let (json, bin) = chunks(path)?;
    let json: Value = serde_json::from_slice(&json)
        .map_err(|error| refuse(format!("its JSON cannot be read ({})", plain(&error.to_string()))))?;
    let mut buffers = Buffers { json: &json, bin, path, inline: Vec::new() };
    let mut parts = Vec::new();
    let mut notes = Vec::new();
    for (mesh, world) in placed_meshes(&json).map_err(refuse)? {
        let primitives = json["meshes"][mesh]["primitives"].as_array();
        for primitive in primitives.into_iter().flatten() {
            let extension = &primitive["extensions"][EXTENSION];
            if extension.is_null() {
                continue;
            }
            let packed = extension["extensions"].as_object().into_iter().flatten().map(|(name, _)| name);
            if let Some(name) = packed.into_iter().find(|name| name.starts_with(PACKED)) {
                return Err(refuse(format!(
                    "its splats are packed by the extension `{name}`, which is not read; export them unpacked, or as SPZ"
                )));
            }
            if let Some(kernel) = extension["kernel"].as_str().filter(|kernel| *kernel != "ellipse") {
                return Err(refuse(format!(
                    "its splats have the kernel `{kernel}`, and `ellipse` alone is drawn"
                )));
            }
            if let Some(space) =
                extension["colorSpace"].as_str().filter(|space| *space != "srgb_rec709_display")
            {
                let note = format!("its colours are in `{space}` and taken for sRGB");
                if !notes.contains(&note) {
                    notes.push(note);
                }
            }
            let mut cloud = splats(&mut buffers, &primitive["attributes"])?;
            place(&mut cloud, world).map_err(refuse)?;
            parts.push(cloud);
        }
    }
    if parts.is_empty() {
        return Err(refuse(format!("no mesh in its scene has splats (`{EXTENSION}`)")));
    }
    let mut cloud = merged(parts);
    HalfTurn::Z.apply(&mut cloud);
    Ok(SplatScene { cloud, notes, ..SplatScene::default() })
}

/// The JSON, and the range of the GLB's binary chunk in the file. A `.gltf` is JSON only.
fn chunks(path: &Path) -> Result<(Vec<u8>, Option<Range<u64>>)> {
    let refuse = |what: &str| Err(malformed(path, "glTF", what));
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let mut file = open(path)?;
    let size = file.metadata().map_err(read_error)?.len();
    let mut head = Vec::new();
    file.by_ref().take(12).read_to_end(&mut head).map_err(read_error)?;
    if !head.starts_with(b"glTF") {
        file.read_to_end(&mut head).map_err(read_error)?;
        return Ok((head, None));
    }
    if array(&head, 4).map(u32::from_le_bytes) != Some(2) {
        return refuse("its version is not 2");
    }
    let (mut json, mut bin, mut at) = (None, None, 12_u64);
    loop {
        let mut chunk = Vec::new();
        file.seek(SeekFrom::Start(at)).map_err(read_error)?;
        file.by_ref().take(8).read_to_end(&mut chunk).map_err(read_error)?;
        let (Some(len), Some(kind)) = (array(&chunk, 0), array(&chunk, 4)) else { break };
        let content = at + 8..(at + 8).saturating_add(u64::from(u32::from_le_bytes(len)));
        if content.end > size {
            return refuse("it ends within a chunk; it is truncated, copy it again");
        }
        at = content.end;
        match u32::from_le_bytes(kind) {
            JSON if json.is_none() => {
                let mut text = Vec::new();
                file.by_ref().take(content.end - content.start).read_to_end(&mut text).map_err(read_error)?;
                json = Some(text);
            }
            BIN if bin.is_none() => bin = Some(content),
            _ => {}
        }
    }
    let Some(json) = json else { return refuse("it has no JSON; it is truncated, copy it again") };
    // Buffers promised by the header are in the same file.
    if size < array(&head, 8).map_or(0, u32::from_le_bytes).into() {
        return refuse("it is shorter than its header says; it is truncated, copy it again");
    }
    Ok((json, bin))
}

/// The meshes of the default scene, each with its world transform.
fn placed_meshes(json: &Value) -> std::result::Result<Vec<(usize, DMat4)>, String> {
    let index = |value: &Value| value.as_u64().map(|index| index as usize);
    let scene = index(&json["scene"]).unwrap_or(0);
    let Some(roots) = json["scenes"][scene]["nodes"].as_array() else {
        // Without a scene, every mesh is used without a transform.
        let meshes = json["meshes"].as_array().map_or(0, Vec::len);
        return Ok((0..meshes).map(|mesh| (mesh, DMat4::IDENTITY)).collect());
    };
    let nodes = json["nodes"].as_array().map_or(0, Vec::len);
    let mut open: Vec<(usize, DMat4, usize)> =
        roots.iter().filter_map(index).map(|node| (node, DMat4::IDENTITY, 0)).collect();
    let (mut found, mut seen) = (Vec::new(), 0);
    while let Some((node, parent, depth)) = open.pop() {
        seen += 1;
        if depth > MAX_DEPTH || seen > nodes.saturating_mul(2) + 1 {
            return Err("its nodes hold each other in a circle".into());
        }
        let node = &json["nodes"][node];
        let world = parent * local(node);
        found.extend(index(&node["mesh"]).map(|mesh| (mesh, world)));
        let children = node["children"].as_array().into_iter().flatten().filter_map(index);
        open.extend(children.map(|child| (child, world, depth + 1)));
    }
    found.sort_by_key(|(mesh, _)| *mesh);
    Ok(found)
}

fn numbers<const N: usize>(value: &Value) -> Option<[f64; N]> {
    let numbers = value.as_array()?.iter().map(Value::as_f64).collect::<Option<Vec<_>>>()?;
    numbers.try_into().ok()
}

fn local(node: &Value) -> DMat4 {
    if let Some(matrix) = numbers::<16>(&node["matrix"]) {
        return DMat4::from_cols_array(&matrix);
    }
    let scale = numbers(&node["scale"]).map_or(DVec3::ONE, DVec3::from_array);
    let rotation = numbers(&node["rotation"]).map_or(DQuat::IDENTITY, DQuat::from_array);
    let translation = numbers(&node["translation"]).map_or(DVec3::ZERO, DVec3::from_array);
    DMat4::from_scale_rotation_translation(scale, rotation, translation)
}

/// Transforms a cloud by a node's matrix.
fn place(cloud: &mut GaussianCloud, world: DMat4) -> std::result::Result<(), String> {
    if world == DMat4::IDENTITY {
        return Ok(());
    }
    let linear = DMat3::from_mat4(world);
    let scale = linear.determinant().cbrt();
    let rotation = linear * (1.0 / scale);
    let error = (rotation * rotation.transpose() - DMat3::IDENTITY).to_cols_array();
    if !(scale > 0.0 && error.iter().all(|value| value.abs() < 1e-3)) {
        return Err(
            "a node stretches or mirrors its splats, which is not read; apply its transform first".into()
        );
    }
    cloud.transform(rotation, scale, world.w_axis.truncate());
    Ok(())
}

fn splats(buffers: &mut Buffers<'_>, attributes: &Value) -> Result<GaussianCloud> {
    let named = |name: &str| format!("{EXTENSION}:{name}");
    let mut cloud = GaussianCloud::default();
    buffers.each(attributes, "POSITION", None, &mut |_, mean| cloud.means.push(mean))?;
    let count = cloud.means.len();
    cloud.quats = buffers.of_len::<4>(attributes, &named("ROTATION"), count)?;
    cloud.quats.iter_mut().for_each(|quat| quat.rotate_right(1));
    cloud.log_scales = buffers.of_len::<3>(attributes, &named("SCALE"), count)?;
    cloud.log_scales.as_flattened_mut().iter_mut().for_each(|scale| *scale = scale.abs().ln());
    let opacities = &mut cloud.opacity_logits;
    buffers.each(attributes, &named("OPACITY"), Some(count), &mut |_, [opacity]| {
        opacities.push(logit(opacity))
    })?;
    let coefficient = |degree: u32, order: u32| named(&format!("SH_DEGREE_{degree}_COEF_{order}"));
    cloud.sh_degree =
        (1..=3).take_while(|&degree| !attributes[coefficient(degree, 0)].is_null()).last().unwrap_or(0);
    let coeffs = cloud.coeffs_per_gaussian();
    cloud.sh_coeffs = vec![[0.0; 3]; count * coeffs];
    let places = &mut cloud.sh_coeffs;
    for degree in 0..=cloud.sh_degree {
        for order in 0..=2 * degree {
            let index = (degree * degree + order) as usize;
            if degree == 0 && attributes[coefficient(0, 0)].is_null() {
                // The fallback for point viewers has only the colour.
                buffers.each(attributes, "COLOR_0", Some(count), &mut |row, rgb: [f32; 3]| {
                    places[row * coeffs] = rgb.map(f_dc);
                })?;
            } else {
                buffers.each(attributes, &coefficient(degree, order), Some(count), &mut |row, rgb| {
                    places[row * coeffs + index] = rgb;
                })?;
            }
        }
    }
    Ok(cloud)
}

/// Merges clouds to one of the highest degree among them.
fn merged(parts: Vec<GaussianCloud>) -> GaussianCloud {
    let sh_degree = parts.iter().map(|part| part.sh_degree).max().unwrap_or(0);
    let mut cloud = GaussianCloud { sh_degree, ..GaussianCloud::default() };
    let mut parts = parts.into_iter();
    if parts.len() == 1 {
        return parts.next().unwrap_or_default();
    }
    for mut part in parts {
        part.set_sh_degree(sh_degree);
        cloud.means.append(&mut part.means);
        cloud.quats.append(&mut part.quats);
        cloud.log_scales.append(&mut part.log_scales);
        cloud.opacity_logits.append(&mut part.opacity_logits);
        cloud.sh_coeffs.append(&mut part.sh_coeffs);
    }
    cloud
}
