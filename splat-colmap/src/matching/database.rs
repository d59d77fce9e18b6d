//! The matcher's access to COLMAP's SQLite database.
//!
//! | table | columns used |
//! | --- | --- |
//! | `cameras` | `camera_id`, `width`, `height` |
//! | `images` | `image_id`, `name`, `camera_id` |
//! | `keypoints` | `image_id`, `cols`, `data`: 2, 4 or 6 f32 per feature, in the order of `descriptors` |
//! | `descriptors` | `image_id`, `rows`, `cols`, `data`: `rows` x `cols` bytes; 4.x adds a `type` |
//! | `matches` | `pair_id`, `rows`, `cols` = 2, `data`: `rows` x 2 little-endian u32, features of the image with the lower number first |
//! | `two_view_geometries` | `pair_id`, `rows`: verified matches |
//!
//! A pair's number is `2147483647 * lower image_id + higher image_id`, in all releases.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Params, Row, Transaction, params};

use splat_core::descriptors::DESCRIPTOR_BYTES as LENGTH;

use crate::error::{ColmapError, Result};

/// COLMAP's `kMaxNumImages`.
const PAIR_FACTOR: i64 = 2_147_483_647;

/// Tables with a row for each pair: matched, and verified.
const PAIR_TABLES: [&str; 2] = ["matches", "two_view_geometries"];

/// A photo in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageRow {
    pub(crate) id: u32,
    pub(crate) name: String,
    /// Number of its descriptors.
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
        let query = "SELECT i.image_id, i.name, COALESCE(d.rows, 0), COALESCE(d.cols, 0) FROM images i \
                     LEFT JOIN descriptors d ON d.image_id = i.image_id ORDER BY i.image_id";
        let images: Vec<(ImageRow, i64)> = self.all(query, [], |row| {
            let features = u64::from(row.get::<_, u32>(2)?);
            Ok((ImageRow { id: row.get(0)?, name: row.get(1)?, features }, row.get(3)?))
        })?;
        let other = images.iter().find(|(image, length)| image.features > 0 && *length != LENGTH as i64);
        if let Some((image, length)) = other {
            return Err(self.refused(&format!(
                "the descriptors of `{}` have {length} bytes; those of SIFT, which are compared here, have {LENGTH}",
                image.name
            )));
        }
        Ok(images.into_iter().map(|(image, _)| image).collect())
    }

    /// The longer side of each photo in pixels, by its number.
    pub(crate) fn longer_sides(&self) -> Result<BTreeMap<u32, u32>> {
        let query = "SELECT i.image_id, MAX(c.width, c.height) FROM images i \
                     JOIN cameras c ON c.camera_id = i.camera_id";
        self.all(query, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// The id of each photo's camera, by the photo's name, and whether the photo's features have been extracted.
    pub(crate) fn cameras(&self) -> Result<BTreeMap<String, (u32, bool)>> {
        let query = "SELECT i.name, i.camera_id, d.image_id IS NOT NULL FROM images i \
                     LEFT JOIN descriptors d ON d.image_id = i.image_id";
        self.all(query, [], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))
    }

    /// Deletes the features of photos, by id, and all their matches.
    pub(crate) fn remove_features(&mut self, images: &[u32]) -> Result<()> {
        self.change(|transaction| {
            for image in images {
                for table in ["keypoints", "descriptors"] {
                    transaction.execute(&format!("DELETE FROM {table} WHERE image_id = ?1"), [image])?;
                }
                for table in PAIR_TABLES {
                    let query = format!("DELETE FROM {table} WHERE pair_id / ?1 = ?2 OR pair_id % ?1 = ?2");
                    transaction.execute(&query, params![PAIR_FACTOR, image])?;
                }
            }
            Ok(())
        })
    }

    /// Deletes all matches, verified or not.
    pub(crate) fn remove_matches(&mut self) -> Result<()> {
        self.change(|transaction| {
            for table in PAIR_TABLES {
                transaction.execute(&format!("DELETE FROM {table}"), [])?;
            }
            Ok(())
        })
    }

    /// The descriptors of a photo, 128 bytes each; empty if it has none.
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

    /// A measure of each feature's scale: the length of the first column of its affine shape, or its scale if that is stored instead; 0 if
    /// neither is stored.
    pub(super) fn scales(&self, image: &ImageRow) -> Result<Vec<f32>> {
        if image.features == 0 {
            return Ok(Vec::new());
        }
        let query = "SELECT cols, data FROM keypoints WHERE image_id = ?1";
        let (columns, data): (u32, Vec<u8>) =
            (self.connection.query_row(query, [image.id], |row| Ok((row.get(0)?, row.get(1)?))))
                .map_err(|error| self.refused(&error))?;
        let values: Vec<f32> = data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if columns < 2 || values.len() as u64 != image.features.saturating_mul(u64::from(columns)) {
            let (name, features) = (&image.name, image.features);
            let what = format!("`{name}` should have {features} features and has {} numbers", values.len());
            return Err(self.refused(&what));
        }
        // x, y, and then scale and orientation, or a 2x2 shape row by row.
        let scale = |feature: &[f32]| match *feature {
            [_, _, scale, _] => scale,
            [_, _, a11, _, a21, _] => a11.hypot(a21),
            _ => 0.0,
        };
        Ok(values.chunks_exact(columns as usize).map(scale).collect())
    }

    /// The ids of the pairs that have been matched.
    pub(super) fn compared(&self) -> Result<BTreeSet<i64>> {
        self.all("SELECT pair_id FROM matches", [], |row| row.get(0))
    }

    /// The pairs, by numbers of their images, that have been compared.
    pub(crate) fn compared_pairs(&self) -> Result<BTreeSet<[u32; 2]>> {
        Ok(self.compared()?.into_iter().map(pair_of).collect())
    }

    /// Writes the matches of pairs, all or none of them. Each pair has the lower number first.
    pub(super) fn write(&mut self, pairs: &[([u32; 2], Matches)]) -> Result<()> {
        self.change(|transaction| {
            let mut insert = transaction
                .prepare("INSERT OR REPLACE INTO matches(pair_id, rows, cols, data) VALUES(?1, ?2, 2, ?3)")?;
            for (pair, matches) in pairs {
                let data: Vec<u8> = matches.iter().flatten().flat_map(|index| index.to_le_bytes()).collect();
                insert.execute(params![pair_id(*pair), matches.len() as i64, data])?;
            }
            Ok(())
        })
    }

    /// The pairs, by ids of their images, that have been matched and have fewer than `least` matches.
    pub(crate) fn pairs_below(&self, least: u32) -> Result<BTreeSet<[u32; 2]>> {
        let query = "SELECT pair_id FROM matches WHERE rows < ?1";
        self.all(query, [least], |row| row.get(0).map(pair_of))
    }

    /// The pairs, by ids of their images, with at least `least` verified matches.
    pub(crate) fn verified(&self, least: u32) -> Result<Vec<[u32; 2]>> {
        let query = "SELECT pair_id FROM two_view_geometries WHERE rows >= ?1 ORDER BY pair_id";
        self.all(query, [least], |row| row.get(0).map(pair_of))
    }

    /// Records all pairs except those in `keep` (indices into `images`) as matched with no matches, so that they are skipped.
    pub(crate) fn write_unmatched(&mut self, images: &[ImageRow], keep: &BTreeSet<[usize; 2]>) -> Result<()> {
        self.change(|transaction| {
            let mut insert = transaction
                .prepare("INSERT OR IGNORE INTO matches(pair_id, rows, cols, data) VALUES(?1, 0, 2, x'')")?;
            for (a, first) in images.iter().enumerate() {
                for (b, second) in images.iter().enumerate().skip(a + 1) {
                    if !keep.contains(&[a, b]) {
                        insert.execute([pair_id([first.id, second.id])])?;
                    }
                }
            }
            Ok(())
        })
    }

    /// All rows of a query.
    fn all<T, C: FromIterator<T>>(
        &self,
        query: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<C> {
        let rows =
            || -> rusqlite::Result<C> { self.connection.prepare(query)?.query_map(values, read)?.collect() };
        rows().map_err(|error| self.refused(&error))
    }

    /// Makes changes in a transaction.
    fn change(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<()> {
        let changed = self.connection.transaction().and_then(|transaction| {
            work(&transaction)?;
            transaction.commit()
        });
        changed.map_err(|error| self.refused(&error))
    }

    fn refused(&self, why: &dyn std::fmt::Display) -> ColmapError {
        refused(&self.path, why)
    }
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> ColmapError {
    ColmapError::Database { path: path.to_owned(), what: why.to_string() }
}

/// The images of a pair, by its number.
fn pair_of(number: i64) -> [u32; 2] {
    [(number / PAIR_FACTOR) as u32, (number % PAIR_FACTOR) as u32]
}

/// The number of a pair, lower image first.
pub(super) fn pair_id([low, high]: [u32; 2]) -> i64 {
    PAIR_FACTOR * i64::from(low) + i64::from(high)
}
