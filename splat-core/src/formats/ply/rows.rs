//! Reads rows of ASCII or binary numbers into a cloud.

use std::io::{BufRead, ErrorKind, Read};
use std::path::Path;

use ply_rs_bw::ply::{ElementDef, Encoding, PropertyType, ScalarType};

use super::header::{Header, Layout, size_of};
use super::{CORE, malformed};
use crate::formats::quantize::f_dc;
use crate::gaussians::GaussianCloud;
use crate::{Error, Result};

/// Bytes of binary rows read per call.
const CHUNK_BYTES: usize = 1 << 20;
/// Maximum length of an ASCII row.
const MAX_LINE_BYTES: u64 = 1 << 16;

/// Reads the splats; `remaining` is the number of bytes after the header.
pub(super) fn read_cloud(
    reader: &mut impl BufRead,
    header: &Header,
    layout: &Layout,
    remaining: u64,
    path: &Path,
) -> Result<GaussianCloud> {
    // Allocate for the number in the header, or the most that the file could contain if that is less: at least one byte per
    // number.
    let most = remaining / layout.row_len.max(1) as u64;
    let room = layout.rows.min(usize::try_from(most).unwrap_or(usize::MAX));
    let mut cloud = GaussianCloud::with_room(room, layout.sh_degree);
    read_rows(reader, header, layout, remaining, path, &mut |row| push(&mut cloud, row))?;
    if let Some(full) = layout.full_colour {
        let coeffs = cloud.coeffs_per_gaussian();
        for constant in cloud.sh_coeffs.iter_mut().step_by(coeffs.max(1)) {
            *constant = constant.map(|level| f_dc(level / full));
        }
    }
    Ok(cloud)
}

/// Passes the numbers of each row of `vertex`, in the order of `layout.columns`, to `sink`.
pub(super) fn read_rows(
    reader: &mut impl BufRead,
    header: &Header,
    layout: &Layout,
    remaining: u64,
    path: &Path,
    sink: &mut impl FnMut(&[f32]),
) -> Result<()> {
    let mut source = Source { reader, path, remaining, line_end: header.line_end };
    let ascii = header.ply.encoding == Encoding::Ascii;
    for (name, element) in &header.ply.elements {
        if name == "vertex" {
            break;
        }
        if ascii { source.skip_lines(element)? } else { source.skip_rows(element, header.ply.encoding)? }
    }
    // The shortest ASCII row has a digit and a separator per number.
    let row_bytes = if ascii { 2 * layout.row_len } else { layout.row_bytes } as u64;
    let promised = (layout.rows as u64).saturating_mul(row_bytes);
    // The last line of an ASCII file may lack its line ending.
    if promised > source.remaining.saturating_add(u64::from(ascii)) {
        return Err(malformed(
            path,
            format!(
                "its header promises {} rows of {row_bytes} bytes or more and {} bytes follow; \
                 it is truncated, copy it again",
                layout.rows, source.remaining
            ),
        ));
    }
    let mut row = vec![0.0_f32; layout.columns.len()];
    if ascii {
        let mut numbers = Vec::with_capacity(layout.row_len);
        for index in 0..layout.rows {
            source.ascii_row(index, layout.row_len, &mut numbers)?;
            for (value, column) in row.iter_mut().zip(&layout.columns) {
                *value = numbers[column.index];
            }
            sink(&row);
        }
    } else {
        let big_endian = header.ply.encoding == Encoding::BinaryBigEndian;
        let rows_at_once = (CHUNK_BYTES / layout.row_bytes.max(1)).max(1);
        let mut chunk = vec![0; rows_at_once.min(layout.rows) * layout.row_bytes];
        let mut left = layout.rows;
        while left > 0 {
            let count = left.min(rows_at_once);
            let bytes = &mut chunk[..count * layout.row_bytes];
            source.fill(bytes)?;
            for bytes in bytes.chunks_exact(layout.row_bytes.max(1)) {
                for (value, column) in row.iter_mut().zip(&layout.columns) {
                    *value = number(&bytes[column.offset..], &column.scalar, big_endian);
                }
                sink(&row);
            }
            left -= count;
        }
    }
    Ok(())
}

/// `row` is in the order of [`CORE`], followed by `f_rest_*` by channel.
fn push(cloud: &mut GaussianCloud, row: &[f32]) {
    let (core, rest) = row.split_at(CORE.len());
    let [x, y, z, qw, qx, qy, qz, s0, s1, s2, opacity, r, g, b] = core else { return };
    cloud.means.push([*x, *y, *z]);
    cloud.quats.push([*qw, *qx, *qy, *qz]);
    cloud.log_scales.push([*s0, *s1, *s2]);
    cloud.opacity_logits.push(*opacity);
    cloud.sh_coeffs.push([*r, *g, *b]);
    let (red, others) = rest.split_at(rest.len() / 3);
    let (green, blue) = others.split_at(others.len() / 2);
    cloud.sh_coeffs.extend(red.iter().zip(green).zip(blue).map(|((r, g), b)| [*r, *g, *b]));
}

/// The number at the start of `bytes`, which must be long enough.
pub(super) fn number(bytes: &[u8], scalar: &ScalarType, big_endian: bool) -> f32 {
    macro_rules! decode {
        ($kind:ty) => {
            bytes.first_chunk().map_or(<$kind>::default(), |bytes| {
                if big_endian { <$kind>::from_be_bytes(*bytes) } else { <$kind>::from_le_bytes(*bytes) }
            })
        };
    }
    match scalar {
        ScalarType::Float => decode!(f32),
        ScalarType::Double => decode!(f64) as f32,
        ScalarType::Char => f32::from(decode!(i8)),
        ScalarType::UChar => f32::from(decode!(u8)),
        ScalarType::Short => f32::from(decode!(i16)),
        ScalarType::UShort => f32::from(decode!(u16)),
        ScalarType::Int => decode!(i32) as f32,
        ScalarType::UInt => decode!(u32) as f32,
    }
}

/// Parses a number, including the ways in which C libraries print non-finite ones: `-nan(ind)`, `1.#QNAN0`, `-1.#INF00`.
fn number_of_text(word: &str) -> Option<f32> {
    word.parse().ok().or_else(|| {
        let lower = word.to_ascii_lowercase();
        let (sign, name) = match lower.strip_prefix('-') {
            Some(name) => (-1.0, name),
            None => (1.0, lower.as_str()),
        };
        match name.strip_prefix("1.#").map_or(name, |name| name.trim_end_matches('0')) {
            "inf" => Some(sign * f32::INFINITY),
            other if ["ind", "qnan", "snan"].contains(&other) || other.starts_with("nan(") => Some(f32::NAN),
            _ => None,
        }
    })
}

/// The reader, with the number of bytes left in the file.
struct Source<'a, R> {
    reader: &'a mut R,
    path: &'a Path,
    remaining: u64,
    /// The byte that ends a line of text.
    line_end: u8,
}

impl<R: BufRead> Source<'_, R> {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        self.reader.read_exact(bytes).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => {
                malformed(self.path, "it ends within its rows; it is truncated, copy it again")
            }
            _ => Error::Read { path: self.path.to_owned(), source },
        })?;
        self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
        Ok(())
    }

    /// The next line that is not blank; an error at the end of the file.
    fn row_of_text(&mut self) -> Result<Vec<u8>> {
        loop {
            let line = self.line()?;
            if !line.trim_ascii().is_empty() {
                return Ok(line);
            }
        }
    }

    /// One line of text; an error at the end of the file.
    fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(MAX_LINE_BYTES).read_until(self.line_end, &mut line);
        let read = read.map_err(|source| Error::Read { path: self.path.to_owned(), source })? as u64;
        if read == 0 {
            return Err(malformed(self.path, "it ends within its rows; it is truncated, copy it again"));
        }
        self.remaining = self.remaining.saturating_sub(read);
        Ok(line)
    }

    fn ascii_row(&mut self, index: usize, row_len: usize, numbers: &mut Vec<f32>) -> Result<()> {
        let line = self.row_of_text()?;
        numbers.clear();
        let words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        for word in words {
            let number = std::str::from_utf8(word).ok().and_then(number_of_text).ok_or_else(|| {
                let word = String::from_utf8_lossy(&word[..word.len().min(32)]).into_owned();
                malformed(self.path, format!("row {} has `{word}` where a number should be", index + 1))
            })?;
            numbers.push(number);
        }
        if numbers.len() != row_len {
            let what = format!(
                "row {} has {} numbers and its header {row_len} properties",
                index + 1,
                numbers.len()
            );
            return Err(malformed(self.path, what));
        }
        Ok(())
    }

    /// Skips an ASCII element, with one line per row.
    fn skip_lines(&mut self, element: &ElementDef) -> Result<()> {
        let rows = if element.properties.is_empty() { 0 } else { element.count };
        (0..rows).try_for_each(|_| self.row_of_text().map(drop))
    }

    /// Skips a binary element before the splats.
    fn skip_rows(&mut self, element: &ElementDef, encoding: Encoding) -> Result<()> {
        if element.properties.is_empty() {
            return Ok(());
        }
        let mut buffer = [0; 8];
        for _ in 0..element.count {
            for (_, property) in &element.properties {
                match &property.data_type {
                    PropertyType::Scalar(scalar) => self.fill(&mut buffer[..size_of(scalar)])?,
                    PropertyType::List(length, item) => {
                        let bytes = &mut buffer[..size_of(length)];
                        self.fill(bytes)?;
                        let count = number(bytes, length, encoding == Encoding::BinaryBigEndian);
                        for _ in 0..count.max(0.0) as u64 {
                            self.fill(&mut buffer[..size_of(item)])?;
                        }
                    }
                }
            }
        }
        Ok(())
    }
}
