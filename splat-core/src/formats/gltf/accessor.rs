//! Reads numbers from a glTF's buffers.

use std::borrow::Cow;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::formats::{array, malformed, open};
use crate::{Error, Result};

/// The buffers of a file, read from disk on demand: a scene's buffer is as large as the scene.
pub(super) struct Buffers<'a> {
    pub(super) json: &'a Value,
    /// Range of the GLB's binary chunk in the file.
    pub(super) bin: Option<Range<u64>>,
    pub(super) path: &'a Path,
    /// Buffers inside the JSON, by index.
    pub(super) inline: Vec<(usize, Vec<u8>)>,
}

/// Decodes a component to a number.
type Decode = fn(&[u8]) -> Option<f32>;

/// Size of a component in bytes, and its decoder.
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

    /// An attribute with `count` entries: the first `N` numbers of each.
    pub(super) fn of_len<const N: usize>(
        &mut self,
        attributes: &Value,
        name: &str,
        count: usize,
    ) -> Result<Vec<[f32; N]>> {
        let mut values = Vec::new();
        self.each(attributes, name, Some(count), &mut |_, value| values.push(value))?;
        Ok(values)
    }

    /// Passes the first `N` numbers of each entry of an attribute to `sink`, with its index. An attribute with a number of
    /// entries other than `expected` is an error.
    pub(super) fn each<const N: usize>(
        &mut self,
        attributes: &Value,
        name: &str,
        expected: Option<usize>,
        sink: &mut dyn FnMut(usize, [f32; N]),
    ) -> Result<()> {
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
        let count = number(&accessor["count"]);
        if let Some(expected) = expected.filter(|expected| *expected != count) {
            return Err(self.refuse(format!("`{name}` has {count} entries and POSITION {expected}")));
        }
        let view = &self.json["bufferViews"][number(&accessor["bufferView"])];
        if !view["extensions"].is_null() {
            return Err(self.refuse(format!(
                "`{name}` is packed by a glTF extension (such as meshopt), which is not read; export it unpacked"
            )));
        }
        let stride = view["byteStride"].as_u64().map_or(size * width, |stride| stride as usize);
        if stride < size * width {
            return Err(self.refuse(format!("the entries of `{name}` overlap")));
        }
        let inside = number(&accessor["byteOffset"]);
        let start = number(&view["byteOffset"]).saturating_add(inside);
        let len = number(&view["byteLength"]).saturating_sub(inside);
        let needed = match count {
            0 => 0,
            _ => (count - 1).saturating_mul(stride).saturating_add(size * width),
        };
        let path = self.path;
        let past = || {
            let what = format!("`{name}` reaches past the end of its buffer; it is truncated, copy it again");
            malformed(path, "glTF", what)
        };
        let content =
            if needed <= len { self.content(number(&view["buffer"]), start, needed)? } else { None };
        let content = content.ok_or_else(past)?;
        for index in 0..count {
            let entry = content.get(index * stride..).ok_or_else(past)?;
            let mut values = [0.0; N];
            for (at, value) in values.iter_mut().enumerate() {
                *value = entry.get(at * width..).and_then(decode).ok_or_else(past)?;
            }
            sink(index, values);
        }
        Ok(())
    }

    /// A range of a buffer; `None` if the buffer is shorter.
    fn content(&mut self, buffer: usize, start: usize, len: usize) -> Result<Option<Cow<'_, [u8]>>> {
        let uri = self.json["buffers"][buffer]["uri"].as_str();
        let (path, within) = match uri {
            None => match self.bin.clone().filter(|_| buffer == 0) {
                Some(bin) => (self.path.to_owned(), bin),
                None => return Err(self.refuse("it names a buffer that it does not have".into())),
            },
            Some(uri) => match uri.strip_prefix("data:") {
                Some(data) => {
                    let content = self.inline(buffer, data)?;
                    return Ok(content.get(start..start.saturating_add(len)).map(Cow::Borrowed));
                }
                None => (self.beside(uri)?, 0..u64::MAX),
            },
        };
        let read_error = |source| Error::Read { path: path.clone(), source };
        let mut file = open(&path)?;
        let end = within.end.min(file.metadata().map_err(read_error)?.len());
        let from = within.start.saturating_add(start as u64);
        if from.saturating_add(len as u64) > end {
            return Ok(None);
        }
        let mut content = Vec::with_capacity(len);
        file.seek(SeekFrom::Start(from)).map_err(read_error)?;
        file.take(len as u64).read_to_end(&mut content).map_err(read_error)?;
        Ok((content.len() == len).then_some(Cow::Owned(content)))
    }

    /// A buffer inside the JSON.
    fn inline(&mut self, buffer: usize, data: &str) -> Result<&[u8]> {
        let at = match self.inline.iter().position(|(known, _)| *known == buffer) {
            Some(at) => at,
            None => {
                let encoded = data.split_once(";base64,").map(|(_, encoded)| encoded);
                let content = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
                let refused = || self.refuse("a buffer within its JSON is no Base64".into());
                let content = content.ok_or_else(refused)?;
                self.inline.push((buffer, content));
                self.inline.len() - 1
            }
        };
        Ok(&self.inline[at].1)
    }

    /// A buffer in its own file, which must be in the same folder or below it.
    fn beside(&self, uri: &str) -> Result<PathBuf> {
        let relative = Path::new(uri);
        let below = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !below || uri.contains("://") {
            return Err(self.refuse(format!("its buffer `{uri}` is not beside it")));
        }
        Ok(self.path.parent().unwrap_or(Path::new("")).join(relative))
    }
}
