//! Writes a cloud as GLB.

use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{BIN, EXTENSION, JSON};
use crate::formats::axes::HalfTurn;
use crate::formats::quantize::{byte, colour, sigmoid, unit};
use crate::gaussians::GaussianCloud;
use crate::{Error, Result, files};

const FLOAT: u32 = 5126;
const BYTE: u32 = 5121;
/// Target of a buffer view with vertex attributes.
const ARRAY_BUFFER: u32 = 34_962;

/// Metadata of the attributes; their data is written later, so that it is never all in memory.
struct Layout {
    views: Vec<Value>,
    accessors: Vec<Value>,
    attributes: serde_json::Map<String, Value>,
    len: usize,
}

impl Layout {
    fn add(
        &mut self,
        name: String,
        component: u32,
        kind: &str,
        bytes_each: usize,
        count: usize,
        more: Value,
    ) {
        let len = bytes_each * count;
        self.attributes.insert(name, self.accessors.len().into());
        let mut accessor = json!({
            "bufferView": self.views.len(), "componentType": component, "count": count, "type": kind,
        });
        if let (Value::Object(accessor), Value::Object(more)) = (&mut accessor, more) {
            accessor.extend(more);
        }
        self.accessors.push(accessor);
        self.views.push(json!({
            "buffer": 0, "byteOffset": self.len, "byteLength": len, "target": ARRAY_BUFFER,
        }));
        self.len += len;
    }
}

/// Writes a cloud of finite values. Viewers without the extension show coloured points.
pub(crate) fn write(path: &Path, cloud: &GaussianCloud) -> Result<()> {
    let count = cloud.len();
    let Some((low, high)) = cloud.bounds() else {
        return Err(Error::Cloud { why: "it is empty, and glTF has no empty meshes".into() });
    };
    let ([sx, sy, sz], sh_signs) = (HalfTurn::Z.signs(), HalfTurn::Z.sh_signs());
    let turned = |[x, y, z]: [f32; 3]| [x * sx, y * sy, z * sz];
    let corners = [turned(low), turned(high)];
    let corner = |pick: fn(f32, f32) -> f32| -> [f32; 3] {
        std::array::from_fn(|axis| pick(corners[0][axis], corners[1][axis]))
    };
    let (min, max) = (corner(f32::min), corner(f32::max));
    let coeffs = cloud.coeffs_per_gaussian();
    let none = || json!({});
    let mut layout = Layout { views: vec![], accessors: vec![], attributes: Default::default(), len: 0 };
    layout.add("POSITION".into(), FLOAT, "VEC3", 12, count, json!({ "min": min, "max": max }));
    layout.add("COLOR_0".into(), BYTE, "VEC4", 4, count, json!({ "normalized": true }));
    layout.add(format!("{EXTENSION}:ROTATION"), FLOAT, "VEC4", 16, count, none());
    layout.add(format!("{EXTENSION}:SCALE"), FLOAT, "VEC3", 12, count, none());
    layout.add(format!("{EXTENSION}:OPACITY"), FLOAT, "SCALAR", 4, count, none());
    for index in 0..coeffs {
        let degree = index.isqrt();
        let order = index - degree * degree;
        layout.add(format!("{EXTENSION}:SH_DEGREE_{degree}_COEF_{order}"), FLOAT, "VEC3", 12, count, none());
    }
    let document = json!({
        "asset": { "version": "2.0", "generator": format!("splat {}", env!("CARGO_PKG_VERSION")) },
        "extensionsUsed": [EXTENSION],
        "scene": 0,
        "scenes": [{ "nodes": [0] }],
        "nodes": [{ "mesh": 0 }],
        "meshes": [{ "primitives": [{
            "mode": 0,
            "attributes": layout.attributes,
            "extensions": { EXTENSION: {
                "kernel": "ellipse", "colorSpace": "srgb_rec709_display",
                "sortingMethod": "cameraDistance", "projection": "perspective",
            } },
        }] }],
        "buffers": [{ "byteLength": layout.len }],
        "bufferViews": layout.views,
        "accessors": layout.accessors,
    });
    let mut text = document.to_string().into_bytes();
    text.resize(text.len().next_multiple_of(4), b' ');
    let total = 12 + 8 + text.len() + 8 + layout.len;
    let Ok(total) = u32::try_from(total) else {
        return Err(Error::Cloud { why: format!("{count} Gaussians are more than a GLB's 4 GiB hold") });
    };
    files::write_atomically(path, |out| {
        out.write_all(b"glTF")?;
        for word in [2, total, text.len() as u32, JSON] {
            out.write_all(&word.to_le_bytes())?;
        }
        out.write_all(&text)?;
        for word in [layout.len as u32, BIN] {
            out.write_all(&word.to_le_bytes())?;
        }
        let mut put =
            |values: &[f32]| values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()));
        cloud.means.iter().try_for_each(|&mean| put(&turned(mean)))?;
        for (rgb, logit) in cloud.sh_coeffs.iter().step_by(coeffs).zip(&cloud.opacity_logits) {
            let [red, green, blue] = rgb.map(|value| byte(colour(value)));
            out.write_all(&[red, green, blue, byte(sigmoid(*logit))])?;
        }
        let mut put =
            |values: &[f32]| values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()));
        for &quat in &cloud.quats {
            let [w, x, y, z] = unit(quat);
            put(&[x * sx, y * sy, z * sz, w])?;
        }
        cloud.log_scales.iter().try_for_each(|scale| put(&scale.map(f32::exp)))?;
        cloud.opacity_logits.iter().try_for_each(|&logit| put(&[sigmoid(logit)]))?;
        for (index, sign) in sh_signs.into_iter().enumerate().take(coeffs) {
            let own = cloud.sh_coeffs.iter().skip(index).step_by(coeffs);
            own.into_iter().try_for_each(|rgb| put(&rgb.map(|value| value * sign)))?;
        }
        Ok(())
    })
}
