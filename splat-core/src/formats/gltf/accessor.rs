//! Numbers out of a glTF's buffers.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::formats::{array, bytes, malformed};
use crate::{Error, Result};

/// The file's buffers, loaded when first asked for.
pub(super) struct Buffers<'a> {
    pub(super) json: &'a Value,
    /// The binary chunk of a GLB.
    pub(super) bin: Option<&'a [u8]>,
    pub(super) path: &'a Path,
    /// By index, those outside of the binary chunk.
    pub(super) loaded: Vec<(usize, Vec<u8>)>,
}

/// How a component becomes a number.
type Decode = fn(&[u8]) -> Option<f32>;

/// Bytes of a component and how it becomes a number.
fn component(kind: u64, normalized: bool) -> Option<(usize, Decode)> {
    Some(match (kind, normalized) {
        (5120, false) => (1, |b| array(b, 0).map(i8::from_le_bytes).map(f32::from)),
        (5120, true) => (1, |b| array(b, 0).map(i8::from_le_bytes).map(|v| (f32::from(v) / 127.0).max(-1.0))),
        (5121, false) => (1, |b| array(b, 0).map(u8::from_le_bytes).map(f32::from)),
        (5121, true) => (1, |b| array(b, 0).map(u8::from_le_bytes).map(|v| f32::from(v) / 255.0)),
        (5122, false) => (2, |b| array(b, 0).map(i16::from_le_bytes).map(f32::from)),
        (5122, true) => {
            (2, |b| array(b, 0).map(i16::from_le_bytes).map(|v| (f32::from(v) / 32_767.0).max(-1.0)))
        }
        (5123, false) => (2, |b| array(b, 0).map(u16::from_le_bytes).map(f32::from)),
        (5123, true) => (2, |b| array(b, 0).map(u16::from_le_bytes).map(|v| f32::from(v) / 65_535.0)),
        (5126, _) => (4, |b| array(b, 0).map(f32::from_le_bytes)),
        _ => return None,
    })
}

impl Buffers<'_> {
    fn refuse(&self, what: String) -> Error {
        malformed(self.path, "glTF", what)
    }

    /// An attribute that has `count` entries.
    pub(super) fn of_len<const N: usize>(
        &mut self,
        attributes: &Value,
        name: &str,
        count: usize,
    ) -> Result<Vec<[f32; N]>> {
        let values = self.read(attributes, name)?;
        if values.len() != count {
            return Err(self.refuse(format!("`{name}` has {} entries and POSITION {count}", values.len())));
        }
        Ok(values)
    }

    /// An attribute's entries: the first `N` numbers of each.
    pub(super) fn read<const N: usize>(&mut self, attributes: &Value, name: &str) -> Result<Vec<[f32; N]>> {
        let Some(index) = attributes[name].as_u64() else {
            return Err(self.refuse(format!("its splats have no `{name}`")));
        };
        let accessor = &self.json["accessors"][index as usize];
        let size = match accessor["type"].as_str() {
            Some("SCALAR") => 1,
            Some("VEC2") => 2,
            Some("VEC3") => 3,
            Some("VEC4") => 4,
            _ => 0,
        };
        let number = |value: &Value| value.as_u64().unwrap_or(0) as usize;
        let kind = component(
            accessor["componentType"].as_u64().unwrap_or(0),
            accessor["normalized"].as_bool().unwrap_or(false),
        );
        let (Some((width, decode)), true) = (kind, size >= N) else {
            return Err(self.refuse(format!("`{name}` has a type that is not read")));
        };
        if !accessor["sparse"].is_null() || accessor["bufferView"].is_null() {
            return Err(self.refuse(format!("`{name}` is a sparse accessor, which is not read")));
        }
        let view = &self.json["bufferViews"][number(&accessor["bufferView"])];
        let stride = view["byteStride"].as_u64().map_or(size * width, |stride| stride as usize);
        let (count, inside) = (number(&accessor["count"]), number(&accessor["byteOffset"]));
        let start = number(&view["byteOffset"]).saturating_add(inside);
        let len = number(&view["byteLength"]).saturating_sub(inside);
        let needed = match count {
            0 => 0,
            _ => (count - 1).saturating_mul(stride.max(1)).saturating_add(size * width),
        };
        let buffer = self.buffer(number(&view["buffer"]))?;
        let end = start.saturating_add(len);
        let Some(content) = buffer.get(start..end).filter(|content| content.len() >= needed) else {
            return Err(malformed(
                self.path,
                "glTF",
                format!("`{name}` reaches past the end of its buffer; it is truncated, copy it again"),
            ));
        };
        let entry = |index: usize| -> Option<[f32; N]> {
            let mut values = [0.0; N];
            for (at, value) in values.iter_mut().enumerate() {
                *value = decode(content.get(index * stride.max(1) + at * width..)?)?;
            }
            Some(values)
        };
        (0..count).map(entry).collect::<Option<_>>().ok_or_else(|| {
            malformed(self.path, "glTF", format!("`{name}` reaches past the end of its buffer"))
        })
    }

    fn buffer(&mut self, index: usize) -> Result<&[u8]> {
        let uri = self.json["buffers"][index]["uri"].as_str();
        if uri.is_none() && index == 0 && self.bin.is_some() {
            return Ok(self.bin.unwrap_or_default());
        }
        let at = match self.loaded.iter().position(|(known, _)| *known == index) {
            Some(at) => at,
            None => {
                let content = self.load(uri)?;
                self.loaded.push((index, content));
                self.loaded.len() - 1
            }
        };
        Ok(&self.loaded[at].1)
    }

    fn load(&self, uri: Option<&str>) -> Result<Vec<u8>> {
        let Some(uri) = uri else {
            return Err(self.refuse("it names a buffer that it does not have".into()));
        };
        if let Some(data) = uri.strip_prefix("data:") {
            let encoded = data.split_once(";base64,").map(|(_, encoded)| encoded);
            let content = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
            return content.ok_or_else(|| self.refuse("a buffer within its JSON is no Base64".into()));
        }
        // Beside the file or below, never elsewhere.
        let relative = Path::new(uri);
        let below = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !below || uri.contains("://") {
            return Err(self.refuse(format!("its buffer `{uri}` is not beside it")));
        }
        bytes(&self.path.parent().unwrap_or(Path::new("")).join(relative))
    }
}
