//! What the matcher reads from COLMAP's SQLite database, and what it writes there.
//!
//! | table | columns used |
//! | --- | --- |
//! | `images` | `image_id`, `name` |
//! | `descriptors` | `image_id`, `rows`, `cols`, `data`: `rows` x `cols` bytes; 4.x adds a `type` |
//! | `matches` | `pair_id`, `rows`, `cols` = 2, `data`: `rows` x 2 little-endian u32, features of the image with the lower number first |
//!
//! A pair's number is `2147483647 * lower image_id + higher image_id`, in all releases.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, params};

use super::kernel::LENGTH;
use crate::error::{ColmapError, Result};

/// COLMAP's `kMaxNumImages`.
const PAIR_FACTOR: i64 = 2_147_483_647;

/// A photo in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageRow {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Descriptors it has.
    pub(crate) features: u64,
}

/// Matches of one pair: features of the first photo and of the second.
pub(super) type Matches = Vec<[u32; 2]>;

/// COLMAP's database, opened for reading and for writing matches.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// # Errors
    /// [`ColmapError::Database`], here and below.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| refused(path, &error))?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// The photos, by number.
    pub(crate) fn images(&self) -> Result<Vec<ImageRow>> {
        let read = || -> rusqlite::Result<Vec<(ImageRow, i64)>> {
            let mut query = self.connection.prepare(
                "SELECT i.image_id, i.name, COALESCE(d.rows, 0), COALESCE(d.cols, 0) FROM images i \
                 LEFT JOIN descriptors d ON d.image_id = i.image_id ORDER BY i.image_id",
            )?;
            let rows = query.query_map([], |row| {
                let image = ImageRow {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    features: u64::from(row.get::<_, u32>(2)?),
                };
                Ok((image, row.get(3)?))
            })?;
            rows.collect()
        };
        let images = read().map_err(|error| self.refused(&error))?;
        let other = images.iter().find(|(image, length)| image.features > 0 && *length != LENGTH as i64);
        if let Some((image, length)) = other {
            return Err(self.refused(&format!(
                "the descriptors of `{}` have {length} bytes; those of SIFT, which are compared here, have {LENGTH}",
                image.name
            )));
        }
        Ok(images.into_iter().map(|(image, _)| image).collect())
    }

    /// The descriptors of a photo, 128 bytes each; none where it has none.
    pub(super) fn descriptors(&self, image: &ImageRow) -> Result<Vec<u8>> {
        if image.features == 0 {
            return Ok(Vec::new());
        }
        let query = "SELECT data FROM descriptors WHERE image_id = ?1";
        let data: Vec<u8> = (self.connection.query_row(query, [image.id], |row| row.get(0)))
            .map_err(|error| self.refused(&error))?;
        if (data.len() / LENGTH) as u64 != image.features || !data.len().is_multiple_of(LENGTH) {
            return Err(self.refused(&format!(
                "`{}` should have {} descriptors of {LENGTH} bytes and has {} bytes",
                image.name,
                image.features,
                data.len()
            )));
        }
        Ok(data)
    }

    /// The numbers of the pairs that have been compared.
    pub(super) fn compared(&self) -> Result<BTreeSet<i64>> {
        let read = || -> rusqlite::Result<BTreeSet<i64>> {
            let mut query = self.connection.prepare("SELECT pair_id FROM matches")?;
            query.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(|error| self.refused(&error))
    }

    /// Writes the matches of pairs, all or none of them. Each pair has the lower number first.
    pub(super) fn write(&mut self, pairs: &[([u32; 2], Matches)]) -> Result<()> {
        let mut write = || -> rusqlite::Result<()> {
            let transaction = self.connection.transaction()?;
            {
                let mut insert = transaction.prepare(
                    "INSERT OR REPLACE INTO matches(pair_id, rows, cols, data) VALUES(?1, ?2, 2, ?3)",
                )?;
                for (pair, matches) in pairs {
                    let data: Vec<u8> =
                        matches.iter().flatten().flat_map(|index| index.to_le_bytes()).collect();
                    insert.execute(params![pair_id(*pair), matches.len() as i64, data])?;
                }
            }
            transaction.commit()
        };
        write().map_err(|error| refused(&self.path, &error))
    }

    fn refused(&self, why: &dyn std::fmt::Display) -> ColmapError {
        refused(&self.path, why)
    }
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> ColmapError {
    ColmapError::Database { path: path.to_owned(), what: why.to_string() }
}

/// The number of a pair, lower image first.
pub(super) fn pair_id([low, high]: [u32; 2]) -> i64 {
    PAIR_FACTOR * i64::from(low) + i64::from(high)
}
