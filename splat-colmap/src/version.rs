//! Releases of COLMAP.

use std::fmt;

/// A release of COLMAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3 in 3.8.
    pub major: u32,
    /// 8 in 3.8.
    pub minor: u32,
    /// 1 in 4.2.1; `None` where the program does not say it, as 3.8.
    pub patch: Option<u32>,
}

impl Version {
    /// What this program says of the release when COLMAP is to match features, if that is known to be slow.
    pub(crate) fn slow_matching(self) -> Option<String> {
        (self == Self { major: 4, minor: 1, patch: Some(0) }).then(|| {
            "COLMAP 4.1.0 matches features 4 to 6 times slower than 4.1.1; update it, or use `--matcher-engine splat`".to_owned()
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}
