//! PlayCanvas's compressed PLY: chunks of 256 splats, with values quantized to their chunk's range.

use std::io::{BufRead, Read as _};
use std::path::Path;

use ply_rs_bw::ply::{ElementDef, Encoding, PropertyType, ScalarType};

use super::header::{Header, size_of};
use super::rows::number;
use super::{REST, malformed};
use crate::formats::quantize::{component_of_fraction, f_dc, from_smallest_three, logit_of_byte};
use crate::gaussians::GaussianCloud;
use crate::{Error, Result};

/// Splats per chunk.
pub(super) const CHUNK: usize = 256;
/// Range properties of a chunk: three minima and three maxima per group. Old files have none for the colour.
pub(super) const RANGES: [&str; 18] = [
    "min_x",
    "min_y",
    "min_z",
    "max_x",
    "max_y",
    "max_z",
    "min_scale_x",
    "min_scale_y",
    "min_scale_z",
    "max_scale_x",
    "max_scale_y",
    "max_scale_z",
    "min_r",
    "min_g",
    "min_b",
    "max_r",
    "max_g",
    "max_b",
];
/// Packed properties of a splat, each `uint`.
pub(super) const PACKED: [&str; 4] = ["packed_position", "packed_rotation", "packed_scale", "packed_color"];
/// Harmonics are bytes over this range, centred on zero.
pub(super) const SH_RANGE: f32 = 8.0;

/// Whether the header is that of a compressed PLY.
pub(super) fn matches(header: &Header) -> bool {
    let elements = &header.ply.elements;
    elements.contains_key("chunk")
        && elements.get("vertex").is_some_and(|vertex| vertex.properties.contains_key(PACKED[0]))
}

/// Reads the splats; `remaining` is the number of bytes after the header.
pub(super) fn read_cloud(
    reader: &mut impl BufRead,
    header: &Header,
    remaining: u64,
    path: &Path,
) -> Result<GaussianCloud> {
    if header.ply.encoding != Encoding::BinaryLittleEndian {
        return Err(malformed(
            path,
            "it is compressed, and compressed PLYs are `binary_little_endian` alone",
        ));
    }
    let mut tables: Vec<(&str, Table)> = Vec::new();
    let mut end = 0_u64;
    for (name, element) in &header.ply.elements {
        let table = Table::new(element, end, path)?;
        end = end.saturating_add((table.rows as u64).saturating_mul(table.row_bytes as u64));
        tables.push((name, table));
    }
    if end > remaining {
        return Err(malformed(
            path,
            format!("its header promises {end} bytes and {remaining} follow; it is truncated, copy it again"),
        ));
    }
    let mut bytes = Vec::new();
    let read = reader.take(end).read_to_end(&mut bytes);
    read.map_err(|source| Error::Read { path: path.to_owned(), source })?;
    if (bytes.len() as u64) < end {
        return Err(malformed(path, "it ends within its rows; it is truncated, copy it again"));
    }
    let table = |wanted: &str| tables.iter().find(|(name, _)| *name == wanted).map(|(_, table)| table);
    let (Some(chunks), Some(vertices)) = (table("chunk"), table("vertex")) else {
        return Err(malformed(path, "it has no elements `chunk` and `vertex`"));
    };
    decode(&bytes, chunks, vertices, table("sh"), path)
}

fn decode(
    bytes: &[u8],
    chunks: &Table,
    vertices: &Table,
    sh: Option<&Table>,
    path: &Path,
) -> Result<GaussianCloud> {
    let count = vertices.rows;
    if chunks.rows < count.div_ceil(CHUNK) {
        return Err(malformed(
            path,
            format!("it has {} chunks, and {count} splats need {}", chunks.rows, count.div_ceil(CHUNK)),
        ));
    }
    let ranges: Vec<Column> =
        RANGES[..12].iter().map(|name| chunks.column(name, path)).collect::<Result<_>>()?;
    let colours: Option<Vec<Column>> = RANGES[12..].iter().map(|name| chunks.find(name)).collect();
    let packed: Vec<Column> = PACKED.iter().map(|name| vertices.column(name, path)).collect::<Result<_>>()?;
    if packed.iter().any(|column| column.scalar != ScalarType::UInt) {
        return Err(malformed(path, "its packed numbers are not `uint`"));
    }
    let rest: Vec<Column> = match sh {
        Some(sh) if sh.rows != count => {
            return Err(malformed(path, format!("it has harmonics of {} splats of {count}", sh.rows)));
        }
        Some(sh) => (0..sh.names.len())
            .map(|index| sh.column(&format!("f_rest_{index}"), path))
            .collect::<Result<_>>()?,
        None => Vec::new(),
    };
    let Some(sh_degree) = REST.iter().position(|&len| len == rest.len()) else {
        return Err(malformed(path, format!("it has {} harmonics a splat, not 0, 9, 24 or 45", rest.len())));
    };
    let mut cloud = GaussianCloud::with_room(count, sh_degree as u32);
    let mut range = [0.0; 18];
    range[15..].fill(1.0);
    for row in 0..count {
        if row % CHUNK == 0 {
            let columns = ranges.iter().chain(colours.iter().flatten());
            for (value, column) in range.iter_mut().zip(columns) {
                *value = chunks.value(bytes, row / CHUNK, column);
            }
        }
        let word = |index: usize| vertices.word(bytes, row, &packed[index]);
        let within = |group: usize, fractions: [f32; 3]| -> [f32; 3] {
            let at = |axis: usize| (range[group * 6 + axis], range[group * 6 + 3 + axis]);
            std::array::from_fn(|axis| at(axis).0 + fractions[axis] * (at(axis).1 - at(axis).0))
        };
        let [red, green, blue, alpha] = word(3).to_be_bytes();
        cloud.means.push(within(0, unpack_11_10_11(word(0))));
        cloud.quats.push(unpack_rotation(word(1)));
        cloud.log_scales.push(within(1, unpack_11_10_11(word(2))));
        cloud.opacity_logits.push(logit_of_byte(alpha));
        let rgb = within(2, [red, green, blue].map(|channel| f32::from(channel) / 255.0));
        cloud.sh_coeffs.push(rgb.map(f_dc));
        if let Some(sh) = sh {
            let per_channel = rest.len() / 3;
            for coefficient in 0..per_channel {
                cloud.sh_coeffs.push(std::array::from_fn(|channel| {
                    harmonic(sh.value(bytes, row, &rest[channel * per_channel + coefficient]))
                }));
            }
        }
    }
    Ok(cloud)
}

/// The centre of a byte's step, but the ends of the range for the first and last byte, as PlayCanvas decodes them.
fn harmonic(byte: f32) -> f32 {
    let fraction = match byte {
        0.0 => 0.0,
        255.0 => 1.0,
        _ => (byte + 0.5) / 256.0,
    };
    (fraction - 0.5) * SH_RANGE
}

fn unpack_11_10_11(word: u32) -> [f32; 3] {
    [(word >> 21) as f32 / 2047.0, (word >> 11 & 1023) as f32 / 1023.0, (word & 2047) as f32 / 2047.0]
}

fn unpack_rotation(word: u32) -> [f32; 4] {
    let component = |shift: u32| component_of_fraction((word >> shift & 1023) as f32 / 1023.0);
    from_smallest_three((word >> 30) as usize, [component(20), component(10), component(0)])
}

struct Column {
    offset: usize,
    scalar: ScalarType,
}

/// Location of an element's rows.
struct Table {
    start: u64,
    rows: usize,
    row_bytes: usize,
    names: Vec<(String, usize, ScalarType)>,
}

impl Table {
    fn new(element: &ElementDef, start: u64, path: &Path) -> Result<Self> {
        let (mut names, mut row_bytes) = (Vec::new(), 0);
        for (name, property) in &element.properties {
            let PropertyType::Scalar(scalar) = &property.data_type else {
                return Err(malformed(path, format!("its element `{}` holds a list", element.name)));
            };
            names.push((name.clone(), row_bytes, scalar.clone()));
            row_bytes += size_of(scalar);
        }
        Ok(Self { start, rows: element.count, row_bytes, names })
    }

    fn find(&self, name: &str) -> Option<Column> {
        let (_, offset, scalar) = self.names.iter().find(|(known, ..)| known == name)?;
        Some(Column { offset: *offset, scalar: scalar.clone() })
    }

    fn column(&self, name: &str, path: &Path) -> Result<Column> {
        self.find(name).ok_or_else(|| malformed(path, format!("it is compressed and has no `{name}`")))
    }

    fn at<'a>(&self, bytes: &'a [u8], row: usize, column: &Column) -> &'a [u8] {
        bytes.get(self.start as usize + row * self.row_bytes + column.offset..).unwrap_or_default()
    }

    fn value(&self, bytes: &[u8], row: usize, column: &Column) -> f32 {
        number(self.at(bytes, row, column), &column.scalar, false)
    }

    fn word(&self, bytes: &[u8], row: usize, column: &Column) -> u32 {
        self.at(bytes, row, column).first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }
}
