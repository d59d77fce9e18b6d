//! Limits the size of part headers in forms while they arrive: the multipart parser buffers them completely, and searches for
//! their end from the start with each piece.

use memchr::memmem;

/// Maximum bytes of one part's headers, including its name and file name. Bytes before the first part count as its headers.
pub(super) const MAX_HEADER_BYTES: usize = 16 << 10;

/// A part of a form has headers longer than [`MAX_HEADER_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the headers of a part have more than {MAX_HEADER_BYTES} bytes")]
pub(super) struct HeaderTooLong;

/// Scanner over a form as it is streamed.
#[derive(Debug)]
pub(super) struct Watch {
    /// Delimiter between parts.
    delimiter: Vec<u8>,
    /// Bytes of headers so far; `None` inside a part's content.
    header: Option<usize>,
    /// The last bytes, which may be the beginning of a delimiter.
    tail: Vec<u8>,
}

impl Watch {
    /// For a form with this `boundary`.
    pub(super) fn new(boundary: &str) -> Self {
        Self { delimiter: format!("\r\n--{boundary}").into_bytes(), header: Some(0), tail: b"\r\n".to_vec() }
    }

    /// Scans the next piece.
    ///
    /// # Errors
    /// [`HeaderTooLong`].
    pub(super) fn pass(&mut self, piece: &[u8]) -> Result<(), HeaderTooLong> {
        const END: &[u8] = b"\r\n\r\n";
        let mut window = std::mem::take(&mut self.tail);
        let carried = window.len();
        window.extend_from_slice(piece);
        // Bytes of the window that are done; those carried over were counted before.
        let mut at = 0;
        loop {
            let sought = if self.header.is_some() { END } else { &self.delimiter };
            let rest = window.get(at..).unwrap_or_default();
            let found = memmem::find(rest, sought).map(|place| at + place + sought.len());
            let until = found.unwrap_or(window.len());
            if let Some(bytes) = &mut self.header {
                *bytes += until.saturating_sub(at.max(carried));
                if *bytes > MAX_HEADER_BYTES {
                    return Err(HeaderTooLong);
                }
            }
            let Some(found) = found else {
                let kept = rest.len().min(sought.len() - 1);
                self.tail = window.split_off(window.len() - kept);
                return Ok(());
            };
            // If a part is empty, the line break that ends its headers may also be the one before the next delimiter.
            at = if self.header.is_some() { found - 2 } else { found };
            self.header = if self.header.is_some() { None } else { Some(0) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(name: usize, content: usize) -> Vec<u8> {
        let mut form = Vec::new();
        for _ in 0..3 {
            form.extend_from_slice(b"--xyz\r\nContent-Disposition: form-data; name=\"");
            form.resize(form.len() + name, b'n');
            form.extend_from_slice(b"\"\r\n\r\n");
            // Content that looks like a delimiter and like the end of headers.
            form.extend_from_slice(b"\r\n--xy\r\n\r\nx--xyz");
            form.resize(form.len() + content, b'c');
            form.extend_from_slice(b"\r\n");
        }
        form.extend_from_slice(b"--xyz--\r\n");
        form
    }

    #[test]
    fn only_long_headers_are_refused_however_the_bytes_come() {
        for piece in [1, 2, 3, 7, 100, 16 << 10, usize::MAX] {
            let passes = |form: &[u8]| {
                let mut watch = Watch::new("xyz");
                form.chunks(piece).try_for_each(|piece| watch.pass(piece))
            };
            assert_eq!(passes(&form(10, 100_000)), Ok(()), "pieces of {piece}");
            assert_eq!(passes(&form(10, 0)), Ok(()), "pieces of {piece}");
            assert_eq!(passes(&form(16_000, 10)), Ok(()), "pieces of {piece}");
            assert_eq!(passes(&form(17_000, 10)), Err(HeaderTooLong), "pieces of {piece}");
            assert_eq!(passes(&[b'p'; 20_000]), Err(HeaderTooLong), "pieces of {piece}");
        }
        // The headers of a later part, after one without content.
        let empty = b"--xyz\r\na: b\r\n\r\n\r\n--xyz\r\n".to_vec();
        let mut watch = Watch::new("xyz");
        assert_eq!(watch.pass(&empty), Ok(()));
        assert_eq!(watch.pass(&[b'n'; 17_000]), Err(HeaderTooLong));
        let bare = b"--xyz\r\na: b\r\n\r\n--xyz\r\n".to_vec();
        let mut watch = Watch::new("xyz");
        assert_eq!(watch.pass(&bare), Ok(()));
        assert_eq!(watch.pass(&[b'n'; 17_000]), Err(HeaderTooLong));
    }
}
