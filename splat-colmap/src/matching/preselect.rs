//! Which photos may show the same things, told from few of their features.
//!
//! A feature of large scale is a large part of the picture, which shows from most places where the picture's subject shows. The
//! largest of one photo are compared with all features of another, by the same rule as all others: where a photo comes
//! nearer, a large feature's partner is a middling one. Few of a photo against few of another find fewer of the pairs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use rayon::prelude::*;

use super::database::{Database, ImageRow};
use super::kernel::{Buffers, LENGTH};
use super::{Limit, Watch, matches};
use crate::error::Result;

/// One look at pairs: so many of the largest features of one photo with all of the other's.
#[derive(Clone, Copy, Debug)]
struct Look {
    largest: usize,
    /// Photos with most matches that each photo keeps.
    partners: usize,
    /// Pairs with fewer matches are no partners: so many are found between photos of different things.
    min_matches: usize,
}

/// The short list, made with few features.
const SHORT: Look = Look { largest: 128, partners: 64, min_matches: 2 };
/// The look that decides.
const LONG: Look = Look { largest: 512, partners: 32, min_matches: 4 };
/// From so many photos on, the long look is at the short list alone.
const SHORT_LIST_PHOTOS: usize = 200;

/// Pairs of places in `images` that are worth comparing whole, in order.
///
/// # Errors
/// As [`super::match_pairs`].
pub(crate) fn preselect(
    database: &Database,
    images: &[ImageRow],
    watch: Watch<'_>,
) -> Result<BTreeSet<[usize; 2]>> {
    let all = (0..images.len()).flat_map(|a| (a + 1..images.len()).map(move |b| [a, b])).collect();
    if images.len() < SHORT_LIST_PHOTOS {
        return look(database, images, &all, LONG, watch);
    }
    // The first look takes a quarter of the second's time a pair, and the second sees few pairs.
    let half = |from: u64| move |done: u64, total: u64| (from * total + done, 2 * total);
    let told = |map: &(dyn Fn(u64, u64) -> (u64, u64) + Sync), done, total| {
        let (done, total) = map(done, total);
        (watch.progress)(done, total);
    };
    let first = |done, total| told(&half(0), done, total);
    let listed = look(database, images, &all, SHORT, Watch { progress: &first, ..watch })?;
    let second = |done, total| told(&half(1), done, total);
    look(database, images, &listed, LONG, Watch { progress: &second, ..watch })
}

fn look(
    database: &Database,
    images: &[ImageRow],
    pairs: &BTreeSet<[usize; 2]>,
    look: Look,
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
        let counted = (firsts.par_iter())
            .map_init(Buffers::default, |buffers, &a| {
                limit.check()?;
                let count = matches(buffers, &largest[a], &whole).len();
                (watch.progress)(done.fetch_add(1, Ordering::Relaxed) + 1, total);
                Ok(([a, b], count))
            })
            .collect::<Result<Vec<_>>>()?;
        counts.extend(counted.into_iter().filter(|(_, count)| *count >= look.min_matches));
    }
    Ok(partners(images.len(), &counts, look.partners))
}

/// Of each photo the `keep` pairs with most matches; of equals those with the lower places.
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

/// The descriptors of the `count` features of largest scale; of equals those that come first.
fn largest_features(database: &Database, image: &ImageRow, count: usize) -> Result<Vec<u8>> {
    let descriptors = database.descriptors(image)?;
    let scales = database.scales(image)?;
    let mut order: Vec<usize> = (0..scales.len().min(descriptors.len() / LENGTH)).collect();
    order.sort_by(|&a, &b| scales[b].total_cmp(&scales[a]).then(a.cmp(&b)));
    order.truncate(count);
    // In their own order: what follows does not depend on how scales compare.
    order.sort_unstable();
    let of = |place: usize| descriptors.chunks_exact(LENGTH).nth(place).unwrap_or_default();
    Ok(order.into_iter().flat_map(of).copied().collect())
}

/// Products of descriptors that comparing every pair of these photos takes.
pub(crate) fn products_of_all_pairs(images: &[ImageRow]) -> u64 {
    let (mut sum, mut of_pairs) = (0_u64, 0_u64);
    for image in images {
        of_pairs = of_pairs.saturating_add(sum.saturating_mul(image.features));
        sum = sum.saturating_add(image.features);
    }
    of_pairs
}
