//! Parses the header, and locates each property in a row.

use std::io::{BufRead, Read};
use std::path::Path;

use ply_rs_bw::parser::{Parser, Reader};
use ply_rs_bw::ply::{DefaultElement, ElementDef, Header as PlyHeader, PropertyType, ScalarType};

use super::{CORE, REST, REST_OF_DEGREE_4, malformed};
use crate::content::UTF8_MARK;
use crate::{Error, Result};

/// Maximum header length: no splat file comes near it, and a file without `end_header` must not fill memory.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Index in [`CORE`] of the first constant harmonic.
const CONSTANT: usize = CORE.len() - COLOURS.len();
/// Colour properties.
const COLOURS: [&str; 3] = ["red", "green", "blue"];

/// Value of full intensity: 1 for floating-point types, else the maximum.
fn full_value(scalar: &ScalarType) -> f32 {
    match scalar {
        ScalarType::Float | ScalarType::Double => 1.0,
        ScalarType::UShort | ScalarType::Short => f32::from(u16::MAX),
        _ => f32::from(u8::MAX),
    }
}

/// A parsed header, its length in the file, and its line ending.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) ply: PlyHeader,
    pub(super) byte_len: u64,
    /// The byte that ends a line.
    pub(super) line_end: u8,
}

/// Reads up to `end_header`. Accepts a byte order mark, blank lines, indentation, and line endings of any system.
pub(super) fn read(reader: &mut impl BufRead, path: &Path) -> Result<Header> {
    let read_error = |source| Error::Read { path: path.to_owned(), source };
    let mut lines = Lines { reader: reader.take(MAX_HEADER_BYTES), byte_len: 0, end: None };
    let mut text = String::new();
    let mut properties = 0;
    loop {
        let Some(line) = lines.next().map_err(read_error)? else {
            let what =
                if text.is_empty() { NO_PLY } else { "it ends within its header, before `end_header`" };
            return Err(malformed(path, what));
        };
        // Comments may be in any encoding; invalid UTF-8 is replaced.
        let line = String::from_utf8_lossy(&line);
        let line = line.trim();
        if text.is_empty() && line != "ply" {
            return Err(malformed(path, NO_PLY));
        }
        if line.is_empty() {
            continue;
        }
        properties += usize::from(line.starts_with("property"));
        text.push_str(line);
        text.push('\n');
        if line == "end_header" {
            break;
        }
    }
    let (byte_len, line_end) = (lines.byte_len, lines.end.unwrap_or(b'\n'));
    let ply = Parser::<DefaultElement>::new()
        .read_header(&mut Reader::new(text.as_bytes()))
        .map_err(|_| malformed(path, odd_line(&text)))?;
    // The parser keeps only the last of two properties with the same name, which would shift the following ones.
    let kept: usize = ply.elements.iter().map(|(_, element)| element.properties.len()).sum();
    if kept != properties {
        return Err(malformed(path, "its header declares an element or a property twice"));
    }
    Ok(Header { ply, byte_len, line_end })
}

const NO_PLY: &str = "it does not begin with `ply`";

/// Lines of a header as bytes. The first line determines the line ending: LF (a CR before it is white space), or CR alone, as on
/// old systems; in that case the first byte of the rows may be LF.
struct Lines<R> {
    reader: R,
    byte_len: u64,
    end: Option<u8>,
}

impl<R: BufRead> Lines<R> {
    /// The next line without its line ending; `None` if the file or the maximum header length ends first.
    fn next(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let first = self.end.is_none();
        let end = match self.end {
            Some(end) => end,
            None => self.line_end()?,
        };
        self.end = Some(end);
        let mut line = Vec::new();
        self.byte_len += self.reader.read_until(end, &mut line)? as u64;
        if first && line.starts_with(UTF8_MARK) {
            line.drain(..UTF8_MARK.len());
        }
        Ok((line.pop() == Some(end)).then_some(line))
    }

    /// Line ending of the first line, which is in the buffer.
    fn line_end(&mut self) -> std::io::Result<u8> {
        let ahead = self.reader.fill_buf()?;
        let end = ahead.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let alone = end.is_some_and(|at| ahead[at] == b'\r' && ahead.get(at + 1) != Some(&b'\n'));
        Ok(if alone { b'\r' } else { b'\n' })
    }
}

/// Finds the invalid line of a header, for the error message.
fn odd_line(text: &str) -> String {
    let is_statement = |line: &&str| {
        let alone = format!("ply\nformat ascii 1.0\nelement vertex 1\n{line}\nend_header\n");
        let first = ["ply", "end_header"].contains(line) || line.starts_with("format");
        let parsed = Parser::<DefaultElement>::new().read_header(&mut Reader::new(alone.as_bytes()));
        first || parsed.is_ok()
    };
    match text.lines().find(|line| !is_statement(line)) {
        Some(line) => {
            let shown: String = line.chars().take(80).collect();
            let types = "; numbers in a PLY are char, uchar, short, ushort, int, uint, float or double";
            let types = if line.starts_with("property") { types } else { "" };
            format!("its header has the line `{shown}`, which PLY does not know{types}")
        }
        None => "its header needs the lines `ply`, `format ascii 1.0` (or binary), elements, and each element's properties".into(),
    }
}

/// Location of a property in a row.
#[derive(Debug)]
pub(super) struct Column {
    /// Index among the row's properties.
    pub(super) index: usize,
    /// Byte offset in a binary row.
    pub(super) offset: usize,
    pub(super) scalar: ScalarType,
}

/// Layout of the rows of `vertex`.
#[derive(Debug)]
pub(super) struct Layout {
    /// Columns of [`CORE`], then `f_rest_0` and so on.
    pub(super) columns: Vec<Column>,
    pub(super) sh_degree: u32,
    /// Value of full intensity, if the file has colours instead of constant harmonics, as nerfstudio's with `rgb`.
    pub(super) full_colour: Option<f32>,
    /// Whether the file has coefficients of degree 4, which are ignored.
    pub(super) dropped_harmonics: bool,
    pub(super) rows: usize,
    /// Bytes per binary row.
    pub(super) row_bytes: usize,
    /// Properties per row.
    pub(super) row_len: usize,
}

impl Layout {
    pub(super) fn new(header: &Header, path: &Path) -> Result<Self> {
        let elements = &header.ply.elements;
        let refuse = |what: String| Err(malformed(path, what));
        let Some(vertex) = elements.get("vertex") else {
            return refuse("it has no element `vertex`".into());
        };
        let has = |name: &str| vertex.properties.contains_key(name);
        let core = &CORE;
        let (others, constant) = core.split_at(CONSTANT);
        let all = |names: &[&str]| names.iter().all(|name| has(name));
        let by_colour = all(others) && all(&COLOURS) && !constant.iter().any(|name| has(name));
        let mut core = CORE;
        if by_colour {
            core[CONSTANT..].copy_from_slice(&COLOURS);
        }
        let missing: Vec<&str> = core.into_iter().filter(|name| !has(name)).collect();
        if !missing.is_empty() {
            return refuse(not_splats(header, vertex, &missing));
        }
        let mut columns = Vec::with_capacity(CORE.len() + REST[3]);
        for name in core {
            columns.push(column(vertex, name, path)?);
        }
        let full_colour = columns.last().filter(|_| by_colour).map(|colour| full_value(&colour.scalar));
        let rest = vertex.properties.iter().filter(|(name, _)| name.starts_with("f_rest_")).count();
        let dropped_harmonics = rest == REST_OF_DEGREE_4;
        let degree = if dropped_harmonics { Some(3) } else { REST.iter().position(|&count| count == rest) };
        let Some(sh_degree) = degree else {
            return refuse(format!(
                "it has {rest} properties `f_rest_*`; degrees 0 to 4 of the harmonics have 0, 9, 24, 45 or 72"
            ));
        };
        for channel in 0..3 {
            for coefficient in 0..REST[sh_degree] / 3 {
                let index = channel * (rest / 3) + coefficient;
                columns.push(column(vertex, &format!("f_rest_{index}"), path)?);
            }
        }
        Ok(Self {
            full_colour,
            dropped_harmonics,
            ..Self::of_columns(vertex, columns, sh_degree as u32, path)?
        })
    }

    /// Layout of a point cloud: `x`, `y`, `z`, and three colours if there are any. The flag is true if colours are fractions
    /// of 1, as floating-point ones are.
    pub(super) fn of_points(header: &Header, path: &Path) -> Result<(Self, bool)> {
        let Some(vertex) = header.ply.elements.get("vertex") else {
            return Err(malformed(path, "it has no element `vertex`"));
        };
        let mut columns = Vec::new();
        for name in ["x", "y", "z"] {
            columns.push(column(vertex, name, path)?);
        }
        let names = [["red", "green", "blue"], ["r", "g", "b"]];
        let colours =
            names.iter().find(|names| names.iter().all(|name| vertex.properties.contains_key(*name)));
        for name in colours.into_iter().flatten() {
            columns.push(column(vertex, name, path)?);
        }
        let fractions = columns
            .get(3)
            .is_some_and(|column| matches!(column.scalar, ScalarType::Float | ScalarType::Double));
        Ok((Self::of_columns(vertex, columns, 0, path)?, fractions))
    }

    fn of_columns(vertex: &ElementDef, columns: Vec<Column>, sh_degree: u32, path: &Path) -> Result<Self> {
        let mut row_bytes = 0;
        for (name, property) in &vertex.properties {
            row_bytes += match &property.data_type {
                PropertyType::Scalar(scalar) => size_of(scalar),
                PropertyType::List(..) => {
                    return Err(malformed(path, format!("its vertices hold a list, `{name}`")));
                }
            };
        }
        let row_len = vertex.properties.len();
        Ok(Self {
            columns,
            sh_degree,
            full_colour: None,
            dropped_harmonics: false,
            rows: vertex.count,
            row_bytes,
            row_len,
        })
    }
}

/// Describes what a PLY without the properties of splats contains.
fn not_splats(header: &Header, vertex: &ElementDef, missing: &[&str]) -> String {
    let has = |name: &str| vertex.properties.contains_key(name);
    if let Some(face) = header.ply.elements.get("face").filter(|_| missing.len() > 4) {
        return format!(
            "it is a mesh ({} vertices, {} faces), not Gaussian splats",
            vertex.count, face.count
        );
    }
    if has("scale_1") && !has("scale_2") && missing.len() == 1 {
        return "its splats are flat (2DGS, no `scale_2`), which is not supported".into();
    }
    if has("x") && missing.len() > 4 {
        return format!(
            "it is a point cloud ({} points), not Gaussian splats: it has no {}",
            vertex.count,
            list(missing)
        );
    }
    format!("its vertices have no {}", list(missing))
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn column(vertex: &ElementDef, name: &str, path: &Path) -> Result<Column> {
    let mut offset = 0;
    for (index, (key, property)) in vertex.properties.iter().enumerate() {
        let PropertyType::Scalar(scalar) = &property.data_type else {
            return Err(malformed(path, format!("its vertices hold a list, `{key}`")));
        };
        if key == name {
            return Ok(Column { index, offset, scalar: scalar.clone() });
        }
        offset += size_of(scalar);
    }
    Err(malformed(path, format!("its vertices have no `{name}`")))
}

pub(super) fn size_of(scalar: &ScalarType) -> usize {
    match scalar {
        ScalarType::Char | ScalarType::UChar => 1,
        ScalarType::Short | ScalarType::UShort => 2,
        ScalarType::Int | ScalarType::UInt | ScalarType::Float => 4,
        ScalarType::Double => 8,
    }
}
