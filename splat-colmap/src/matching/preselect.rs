//! Preselection of pairs of photos that may show the same things, from a few of their features.
//!
//! Features of large scale cover a large part of the image and are visible from most viewpoints. The largest features of one photo are
//! matched with all features of another, by the usual rule: in a photo from a different distance a large feature's match may be of
//! medium scale. Matching few features of one photo with few of the other finds fewer of the pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use splat_core::descriptors::DESCRIPTOR_BYTES;

use super::compare::Comparer;
use super::database::{Database, ImageRow};
use super::{Limit, Watch};
use crate::error::Result;

/// One pass over pairs, which matches a number of the largest features of one photo with all of the other's.
#[derive(Clone, Copy, Debug)]
struct Look {
    largest: usize,
    /// Number of photos with most matches that each photo keeps.
    partners: usize,
    /// Minimum number of matches of a pair: fewer also occur between unrelated photos.
    min_matches: usize,
}

/// The first pass, with few features.
const SHORT: Look = Look { largest: 128, partners: 64, min_matches: 2 };
/// The second pass, which decides.
const LONG: Look = Look { largest: 512, partners: 32, min_matches: 4 };
/// From this number of photos on, the second pass only considers the pairs kept by the first.
const SHORT_LIST_PHOTOS: usize = 200;

/// Index pairs into `images` to match completely, in order.
///
/// # Errors
/// As [`super::match_pairs`].
pub(crate) fn preselect(
    database: &Database,
    images: &[ImageRow],
    comparer: Comparer<'_>,
    watch: Watch<'_>,
) -> Result<BTreeSet<[usize; 2]>> {
    let all = (0..images.len()).flat_map(|a| (a + 1..images.len()).map(move |b| [a, b])).collect();
    if images.len() < SHORT_LIST_PHOTOS {
        return look(database, images, &all, LONG, comparer, watch);
    }
    // The first pass takes a quarter of the second's time per pair, and the second has few pairs.
    let half = |from: u64| move |done: u64, total: u64| (from * total + done, 2 * total);
    let report = |map: &(dyn Fn(u64, u64) -> (u64, u64) + Sync), done, total| {
        let (done, total) = map(done, total);
        (watch.progress)(done, total);
    };
    let first = |done, total| report(&half(0), done, total);
    let listed = look(database, images, &all, SHORT, comparer, Watch { progress: &first, ..watch })?;
    let second = |done, total| report(&half(1), done, total);
    look(database, images, &listed, LONG, comparer, Watch { progress: &second, ..watch })
}

fn look(
    database: &Database,
    images: &[ImageRow],
    pairs: &BTreeSet<[usize; 2]>,
    look: Look,
    comparer: Comparer<'_>,
    watch: Watch<'_>,
) -> Result<BTreeSet<[usize; 2]>> {
    let limit = Limit::new(watch);
    let mut largest = Vec::with_capacity(images.len());
    for image in images {
        limit.check()?;
        largest.push(largest_features(database, image, look.largest)?);
    }
    let mut firsts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &[a, b] in pairs {
        firsts.entry(b).or_default().push(a);
    }
    let (done, total) = (AtomicU64::new(0), pairs.len() as u64);
    let mut counts: Vec<([usize; 2], usize)> = Vec::with_capacity(pairs.len());
    for (&b, firsts) in &firsts {
        let whole = database.descriptors(&images[b])?;
        let photos: Vec<&[u8]> =
            firsts.iter().map(|&a| largest[a].as_slice()).chain([whole.as_slice()]).collect();
        let pairs: Vec<[usize; 2]> = (0..firsts.len()).map(|place| [place, firsts.len()]).collect();
        let matched = || (watch.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, total);
        let matches = comparer.matches(&photos, &pairs, &limit, &matched)?;
        let counted = firsts.iter().zip(matches).map(|(&a, matches)| ([a, b], matches.len()));
        counts.extend(counted.filter(|(_, count)| *count >= look.min_matches));
    }
    Ok(partners(images.len(), &counts, look.partners))
}

/// For each photo the `keep` pairs with most matches; among equals those with lower indices.
fn partners(photos: usize, counts: &[([usize; 2], usize)], keep: usize) -> BTreeSet<[usize; 2]> {
    let mut of_photo = vec![Vec::new(); photos];
    for &(pair, count) in counts {
        for place in pair {
            of_photo[place].push((std::cmp::Reverse(count), pair));
        }
    }
    let mut kept = BTreeSet::new();
    for mut pairs in of_photo {
        pairs.sort_unstable();
        kept.extend(pairs.into_iter().take(keep).map(|(_, pair)| pair));
    }
    kept
}

/// The descriptors of the `count` features of largest scale; among equals those that come first.
fn largest_features(database: &Database, image: &ImageRow, count: usize) -> Result<Vec<u8>> {
    let descriptors = database.descriptors(image)?;
    let scales = database.scales(image)?;
    let mut order: Vec<usize> = (0..scales.len().min(descriptors.len() / DESCRIPTOR_BYTES)).collect();
    order.sort_by(|&a, &b| scales[b].total_cmp(&scales[a]).then(a.cmp(&b)));
    order.truncate(count);
    // In their original order, so that results do not depend on the comparison of scales.
    order.sort_unstable();
    let of = |place: usize| descriptors.chunks_exact(DESCRIPTOR_BYTES).nth(place).unwrap_or_default();
    Ok(order.into_iter().flat_map(of).copied().collect())
}

/// Number of descriptor products needed to match every pair of these photos.
pub(crate) fn products_of_all_pairs(images: &[ImageRow]) -> u64 {
    let (mut sum, mut of_pairs) = (0_u64, 0_u64);
    for image in images {
        of_pairs = of_pairs.saturating_add(sum.saturating_mul(image.features));
        sum = sum.saturating_add(image.features);
    }
    of_pairs
}
