//! Reader of NumPy's `.npz`: a zip of `.npy` arrays. Supports only what the test data needs, on top of the existing zip reader.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// One array: its shape, and its elements as f64 whatever they were stored as.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Vec<f64>,
}

impl Array {
    /// Rows of `W` elements.
    pub(crate) fn rows<const W: usize>(&self) -> Vec<[f64; W]> {
        assert_eq!(self.data.len() % W, 0, "shape {:?} has no rows of {W}", self.shape);
        self.data.chunks_exact(W).map(|row| row.try_into().expect("chunks have W elements")).collect()
    }

    /// The `index`-th sub-array along the first axis.
    pub(crate) fn at(&self, index: usize) -> Self {
        let shape = self.shape[1..].to_vec();
        let len = shape.iter().product::<usize>();
        Self { shape, data: self.data[index * len..(index + 1) * len].to_vec() }
    }
}

/// All arrays of the file, by name.
pub(crate) fn read(path: &Path) -> BTreeMap<String, Array> {
    let file = std::fs::File::open(path).expect("the test data opens");
    let mut archive = zip::ZipArchive::new(file).expect("the test data is a zip file");
    let mut arrays = BTreeMap::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("the zip entry opens");
        let name = entry.name().expect("the zip entry has a name").trim_end_matches(".npy").to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("the zip entry decompresses");
        arrays.insert(name, parse_npy(&bytes));
    }
    arrays
}

/// Version 1.0: magic, version, u16 header length, a Python dict literal, then the elements.
fn parse_npy(bytes: &[u8]) -> Array {
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "only npy 1.0 is read");
    let header_end = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..header_end]).expect("the npy header is text");
    assert!(header.contains("'fortran_order': False"), "only C order is read: {header}");
    let value_of = |key: &str| header.split(key).nth(1).expect("the npy header has the key").trim_start();
    let kind = value_of("'descr':").split('\'').nth(1).expect("descr is quoted");
    let shape: Vec<usize> = value_of("'shape':")
        .trim_start_matches('(')
        .split(')')
        .next()
        .expect("shape is a tuple")
        .split(',')
        .filter_map(|size| size.trim().parse().ok())
        .collect();
    let body = &bytes[header_end..];
    let data: Vec<f64> = match kind {
        "<f4" => elements(body, |b| f64::from(f32::from_le_bytes(b))),
        "<f8" => elements(body, f64::from_le_bytes),
        "<i4" => elements(body, |b| f64::from(i32::from_le_bytes(b))),
        "<i8" => elements(body, |b| i64::from_le_bytes(b) as f64),
        other => panic!("elements of type {other} are not read"),
    };
    assert_eq!(data.len(), shape.iter().product::<usize>(), "the npy file is truncated");
    Array { shape, data }
}

fn elements<const W: usize>(body: &[u8], decode: impl Fn([u8; W]) -> f64) -> Vec<f64> {
    body.chunks_exact(W).map(|b| decode(b.try_into().expect("chunks have W bytes"))).collect()
}
