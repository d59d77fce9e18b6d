//! glTF 2.0 with `KHR_gaussian_splatting`: point primitives with a rotation, a scale, an opacity and harmonics each.
//!
//! Axes are x left, y up, z forward. The crate `gltf` refuses attributes of such names, so the JSON is read here.

mod accessor;
mod write;

use std::path::Path;

use glam::{DMat3, DMat4, DQuat, DVec3};
use serde_json::Value;

use super::axes::HalfTurn;
use super::quantize::{f_dc, logit};
use super::{SplatScene, array, malformed};
use crate::Result;
use crate::gaussians::GaussianCloud;

use accessor::Buffers;
pub(super) use write::write;

const EXTENSION: &str = "KHR_gaussian_splatting";
/// Chunk types of a binary glTF.
const JSON: u32 = 0x4E4F_534A;
const BIN: u32 = 0x004E_4942;
/// Nodes within nodes; deeper ones are taken for a circle.
const MAX_DEPTH: usize = 64;

pub(super) fn read(bytes: &[u8], path: &Path) -> Result<SplatScene> {
    let refuse = |what: String| malformed(path, "glTF", what);
    let (json, bin) = if bytes.starts_with(b"glTF") { chunks(bytes, path)? } else { (bytes, None) };
    let json: Value =
        serde_json::from_slice(json).map_err(|error| refuse(format!("its JSON cannot be read ({error})")))?;
    let mut buffers = Buffers { json: &json, bin, path, loaded: Vec::new() };
    let mut parts = Vec::new();
    let mut notes = Vec::new();
    for (mesh, world) in placed_meshes(&json).map_err(refuse)? {
        let primitives = json["meshes"][mesh]["primitives"].as_array();
        for primitive in primitives.into_iter().flatten() {
            let extension = &primitive["extensions"][EXTENSION];
            if extension.is_null() {
                continue;
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

/// JSON and binary chunk of a GLB.
fn chunks<'a>(bytes: &'a [u8], path: &Path) -> Result<(&'a [u8], Option<&'a [u8]>)> {
    let refuse = |what: &str| Err(malformed(path, "glTF", what));
    if array(bytes, 4).map(u32::from_le_bytes) != Some(2) {
        return refuse("its version is not 2");
    }
    let (mut json, mut bin, mut at) = (None, None, 12_usize);
    while let (Some(len), Some(kind)) = (array(bytes, at), array(bytes, at.saturating_add(4))) {
        let end = (at + 8).saturating_add(u32::from_le_bytes(len) as usize);
        let Some(content) = bytes.get(at + 8..end) else {
            return refuse("it ends within a chunk; it is truncated, copy it again");
        };
        match u32::from_le_bytes(kind) {
            JSON if json.is_none() => json = Some(content),
            BIN if bin.is_none() => bin = Some(content),
            _ => {}
        }
        at = end;
    }
    let Some(json) = json else { return refuse("it has no JSON; it is truncated, copy it again") };
    // Buffers that the header promises come in the same file.
    let total = array(bytes, 8).map_or(0, u32::from_le_bytes) as usize;
    if bytes.len() < total {
        return refuse("it is shorter than its header says; it is truncated, copy it again");
    }
    Ok((json, bin))
}

/// The meshes of the scene that is shown, each with its place in the world.
fn placed_meshes(json: &Value) -> std::result::Result<Vec<(usize, DMat4)>, String> {
    let index = |value: &Value| value.as_u64().map(|index| index as usize);
    let scene = index(&json["scene"]).unwrap_or(0);
    let Some(roots) = json["scenes"][scene]["nodes"].as_array() else {
        // Without a scene every mesh is where it is.
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

/// Moves a cloud by a node's matrix.
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
    let positions = buffers.read::<3>(attributes, "POSITION")?;
    let count = positions.len();
    let rotations = buffers.of_len::<4>(attributes, &named("ROTATION"), count)?;
    let scales = buffers.of_len::<3>(attributes, &named("SCALE"), count)?;
    let opacities = buffers.of_len::<1>(attributes, &named("OPACITY"), count)?;
    let coefficient = |degree: u32, order: u32| named(&format!("SH_DEGREE_{degree}_COEF_{order}"));
    let sh_degree =
        (1..=3).take_while(|&degree| !attributes[coefficient(degree, 0)].is_null()).last().unwrap_or(0);
    let mut bands = Vec::new();
    for degree in 0..=sh_degree {
        for order in 0..=2 * degree {
            if degree == 0 && attributes[coefficient(0, 0)].is_null() {
                // The fallback for viewers of points has the colour alone.
                let colours = buffers.of_len::<3>(attributes, "COLOR_0", count)?;
                bands.push(colours.into_iter().map(|rgb| rgb.map(f_dc)).collect());
            } else {
                bands.push(buffers.of_len::<3>(attributes, &coefficient(degree, order), count)?);
            }
        }
    }
    let sh_coeffs = (0..count).flat_map(|index| bands.iter().map(move |band| band[index])).collect();
    Ok(GaussianCloud {
        means: positions,
        quats: rotations.into_iter().map(|[x, y, z, w]| [w, x, y, z]).collect(),
        log_scales: scales.into_iter().map(|scale| scale.map(|value| value.abs().ln())).collect(),
        opacity_logits: opacities.into_iter().map(|[opacity]| logit(opacity)).collect(),
        sh_coeffs,
        sh_degree,
    })
}

/// One cloud of the highest degree among them.
fn merged(parts: Vec<GaussianCloud>) -> GaussianCloud {
    let sh_degree = parts.iter().map(|part| part.sh_degree).max().unwrap_or(0);
    let mut cloud = GaussianCloud { sh_degree, ..GaussianCloud::default() };
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
