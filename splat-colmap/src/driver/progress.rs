//! Parses the progress of a stage from its output.

/// Reads COLMAP's progress lines, of 3.8 ("Matching block \[1/4, 2/4\] in 3s", "Processed file
/// \[3/49\]", "Registering image #12 (7)") and of later releases, which put a log prefix before and
/// write "num_reg_frames=7".
#[derive(Debug, Default)]
pub(super) struct Progress {
    last: u64,
}

impl Progress {
    /// Done and, if known, total; `None` for other lines and without progress.
    pub(super) fn read(&mut self, line: &str) -> Option<(u64, Option<u64>)> {
        let (done, total) = if let Some((_, rest)) = line.split_once("Registering image #") {
            let count = rest.split_once('(')?.1.trim_start_matches("num_reg_frames=");
            (leading_number(count)?, None)
        } else {
            let verbs =
                ["Processed file", "Processing file", "Matching", "Processing", "Undistorting", "Creating"];
            let at = verbs.iter().find_map(|verb| line.find(verb))?;
            let inside = line[at..].split_once('[')?.1.split_once(']')?.0;
            let mut done = 0_u64;
            let mut total = 1_u64;
            // Nested loops: "[2/4, 3/4]" is the 7th of 16.
            for part in inside.split(',') {
                let (index, count) = part.trim().split_once('/')?;
                let (index, count): (u64, u64) = (index.parse().ok()?, count.parse().ok()?);
                done = done.checked_mul(count)?.checked_add(index.checked_sub(1)?)?;
                total = total.checked_mul(count)?;
            }
            (done.checked_add(1)?, Some(total))
        };
        (done > std::mem::replace(&mut self.last, done)).then_some((done, total))
    }
}

fn leading_number(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_old_and_new_releases_are_understood() {
        let read = |line| Progress::default().read(line);
        assert_eq!(read("Processed file [3/49]"), Some((3, Some(49))));
        assert_eq!(
            read("I20260102 10:00:00.1 7 feature_extraction.cc:258] Processed file [3/49]"),
            Some((3, Some(49)))
        );
        assert_eq!(read("Matching block [2/4, 3/4] in 12.1s"), Some((7, Some(16))));
        assert_eq!(read("I2026 pairing.cc:9] Processing block [1/1, 1/1]"), Some((1, Some(1))));
        assert_eq!(read("Matching image [5/49] in 0.4s"), Some((5, Some(49))));
        assert_eq!(read("Registering image #12 (7)"), Some((7, None)));
        assert_eq!(read("I2026 x.cc:1] Registering image #12 (num_reg_frames=7)"), Some((7, None)));
        assert_eq!(read("Undistorting image [1/12]"), Some((1, Some(12))));
        for other in
            ["", "Elapsed time: 1 [minutes]", "Matching [", "Matching [x/y]", "Matching [0/4]", "[1/2]"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn progress_only_moves_on() {
        let mut progress = Progress::default();
        assert_eq!(progress.read("Registering image #1 (3)"), Some((3, None)));
        assert_eq!(progress.read("Registering image #2 (3)"), None);
        assert_eq!(progress.read("Registering image #2 (4)"), Some((4, None)));
    }
}
