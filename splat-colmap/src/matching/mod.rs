//! Feature matching in this process, with COLMAP's database as input and output.
//!
//! On a CPU, COLMAP matches by an approximate nearest-neighbour search, one descriptor at a time, which takes most of the time from
//! photos to a scene. Here the products of two photos' descriptors are one integer matrix product. COLMAP's matchers only verify a
//! pair that has a row in `matches`, so they run afterwards as usual.
//!
//! Matches are the same on every machine, for any number of threads, and on a GPU ([`compare`]).

mod compare;
mod database;
mod kernel;
mod preselect;
mod rule;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use splat_core::CancelToken;

pub(crate) use compare::Comparer;
pub(crate) use database::{Database, ImageRow};
use database::{Matches, pair_id};
pub(crate) use preselect::{preselect, products_of_all_pairs};

use crate::error::{ColmapError, Result};

/// Photos per side of a block of pairs that are matched and written together: the descriptors of at most twice as many photos are in
/// memory, one megabyte per 8,192.
const BLOCK_PHOTOS: usize = 32;

/// COLMAP's minimum number of inliers of a verified pair; a pair with fewer matches needs no verification.
pub(crate) const MIN_MATCHES: u32 = 15;

/// Progress callback, and conditions that end matching early.
#[derive(Clone, Copy)]
pub(crate) struct Watch<'a> {
    pub(crate) cancel: &'a CancelToken,
    /// Time limit.
    pub(crate) limit: Option<Duration>,
    /// Called with the number of pairs matched and their total number, from any thread.
    pub(crate) progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// The deadline and cancellation of matching.
struct Limit<'a> {
    watch: Watch<'a>,
    started: Instant,
}

impl<'a> Limit<'a> {
    fn new(watch: Watch<'a>) -> Self {
        Self { watch, started: Instant::now() }
    }

    fn check(&self) -> Result<()> {
        self.watch.cancel.check()?;
        match self.watch.limit {
            Some(limit) if self.started.elapsed() >= limit => {
                Err(ColmapError::MatchingTimedOut { minutes: limit.as_secs_f64() / 60.0 })
            }
            _ => Ok(()),
        }
    }
}

/// Matches the features of pairs of photos, given by indices into `images`, and writes the matches. Pairs that have been matched before
/// are skipped.
///
/// # Errors
/// [`ColmapError::Database`], [`ColmapError::MatchingTimedOut`], cancellation. Finished blocks stay in the database.
pub(crate) fn match_pairs(
    database: &mut Database,
    images: &[ImageRow],
    pairs: &[[usize; 2]],
    comparer: Comparer<'_>,
    watch: Watch<'_>,
) -> Result<()> {
    let limit = Limit::new(watch);
    let compared = database.compared()?;
    let mut blocks: BTreeMap<[usize; 2], BTreeSet<[usize; 2]>> = BTreeMap::new();
    for &pair in pairs {
        let [a, b] = pair;
        if let (Some(first), Some(second)) = (images.get(a), images.get(b))
            && first.id < second.id
            && !compared.contains(&pair_id([first.id, second.id]))
        {
            blocks.entry(pair.map(|place| place / BLOCK_PHOTOS)).or_default().insert(pair);
        }
    }
    let total = blocks.values().map(BTreeSet::len).sum::<usize>() as u64;
    let done = AtomicU64::new(0);
    for pairs in blocks.values() {
        let mut descriptors = BTreeMap::new();
        for &place in pairs.iter().flatten() {
            limit.check()?;
            if let std::collections::btree_map::Entry::Vacant(entry) = descriptors.entry(place) {
                entry.insert(database.descriptors(&images[place])?);
            }
        }
        let (places, photos): (Vec<usize>, Vec<&[u8]>) =
            descriptors.iter().map(|(place, bytes)| (*place, bytes.as_slice())).unzip();
        let local = |place: usize| places.partition_point(|&known| known < place);
        let listed: Vec<[usize; 2]> = pairs.iter().map(|pair| pair.map(local)).collect();
        let matched = || (watch.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        let matches = comparer.matches(&photos, &listed, &limit, &matched)?;
        let ids = pairs.iter().map(|pair| pair.map(|place| images[place].id));
        let matched: Vec<([u32; 2], Matches)> = ids.zip(matches).collect();
        database.write(&matched)?;
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests;
