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
struct Pass {
    largest: usize,
    /// Number of photos with most matches that each photo keeps.
    partners: usize,
    /// Minimum number of matches of a pair: fewer also occur between unrelated photos.
    min_matches: usize,
    /// Pairs beyond the partners: of photos of one object, each matches more than that number of others.
    more: Option<FurtherPairs>,
}

/// Further pairs, those with most matches first, until one in [`ONE_IN`] of all pairs is chosen.
#[derive(Clone, Copy, Debug)]
struct FurtherPairs {
    /// Maximum number of partners of a photo, including those that it has already.
    partners: usize,
    /// Minimum number of matches of a further pair.
    min_matches: usize,
}

/// Further pairs are added until one in this number of all pairs is chosen.
const ONE_IN: usize = 4;

/// The first pass, with few features.
const SHORT: Pass = Pass { largest: 128, partners: 64, min_matches: 2, more: None };
/// The second pass, which decides. Its numbers are from the table "Choosing pairs" of `docs/benchmarks.md`.
const LONG: Pass = Pass {
    largest: 512,
    partners: 32,
    min_matches: 4,
    more: Some(FurtherPairs { partners: 64, min_matches: 5 }),
};
/// From this number of photos on, the second pass only considers the pairs kept by the first. The first misses one in eight of the pairs
/// that verify (table "Choosing pairs"), but without it the second takes minutes for so many photos.
const SHORT_LIST_PHOTOS: usize = 1_000;

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
        return run_pass(database, images, &all, LONG, comparer, watch);
    }
    // The first pass takes a quarter of the second's time per pair, and the second has few pairs.
    let half = |from: u64| move |done: u64, total: u64| (from * total + done, 2 * total);
    let report = |map: &(dyn Fn(u64, u64) -> (u64, u64) + Sync), done, total| {
        let (done, total) = map(done, total);
        (watch.progress)(done, total);
    };
    let first = |done, total| report(&half(0), done, total);
    let listed = run_pass(database, images, &all, SHORT, comparer, Watch { progress: &first, ..watch })?;
    let second = |done, total| report(&half(1), done, total);
    run_pass(database, images, &listed, LONG, comparer, Watch { progress: &second, ..watch })
}

fn run_pass(
    database: &Database,
    images: &[ImageRow],
    pairs: &BTreeSet<[usize; 2]>,
    pass: Pass,
    comparer: Comparer<'_>,
    watch: Watch<'_>,
) -> Result<BTreeSet<[usize; 2]>> {
    let limit = Limit::new(watch);
    let mut largest = Vec::with_capacity(images.len());
    for image in images {
        limit.check()?;
        largest.push(largest_features(database, image, pass.largest)?);
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
        counts.extend(counted.filter(|(_, count)| *count >= pass.min_matches));
    }
    Ok(chosen(images.len(), &counts, pass))
}

/// The partners of each photo and the further pairs of a pass.
fn chosen(photos: usize, counts: &[([usize; 2], usize)], pass: Pass) -> BTreeSet<[usize; 2]> {
    let mut chosen = partners(photos, counts, pass.partners);
    let Some(more) = pass.more else { return chosen };
    let room = (photos * photos.saturating_sub(1) / 2 / ONE_IN).saturating_sub(chosen.len());
    let clear: Vec<_> = counts.iter().copied().filter(|(_, count)| *count >= more.min_matches).collect();
    let wide = partners(photos, &clear, more.partners);
    let mut further: Vec<_> =
        clear.into_iter().filter(|(pair, _)| wide.contains(pair) && !chosen.contains(pair)).collect();
    further.sort_unstable_by_key(|&(pair, count)| (std::cmp::Reverse(count), pair));
    chosen.extend(further.into_iter().take(room).map(|(pair, _)| pair));
    chosen
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Photos in a row: the nearer two are, the more matches they have.
    fn in_a_row(photos: usize) -> Vec<([usize; 2], usize)> {
        let pairs = (0..photos).flat_map(|a| (a + 1..photos).map(move |b| [a, b]));
        pairs.map(|[a, b]| ([a, b], photos - (b - a))).collect()
    }

    #[test]
    fn pairs_beyond_the_partners_are_taken_by_their_matches_up_to_a_quarter() {
        let (photos, counts) = (100, in_a_row(100));
        let all = counts.len();
        let few = Pass { largest: 0, partners: 4, min_matches: 2, more: None };
        let with = |partners, min_matches| {
            let more = Some(FurtherPairs { partners, min_matches });
            chosen(photos, &counts, Pass { more, ..few })
        };
        let partners = chosen(photos, &counts, few);
        assert!(partners.len() < 4 * photos && partners.contains(&[0, 4]));
        // The nearest 13 on each side are a quarter.
        let filled = with(64, 2);
        assert_eq!(filled.len(), all / ONE_IN);
        assert!(partners.is_subset(&filled));
        assert!(filled.contains(&[50, 63]) && !filled.contains(&[50, 65]), "{filled:?}");
        // Each photo's own limit, and that of matches: up to five places apart.
        assert!(with(8, 2).len() < all / 10);
        let clear = with(64, 95).into_iter().filter(|[a, b]| b - a > 4).collect::<Vec<_>>();
        assert!(clear.iter().all(|[a, b]| b - a == 5) && clear.len() == 95, "{clear:?}");
    }
}
