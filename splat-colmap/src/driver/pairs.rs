//! Selection of pairs of photos by their names and positions.

use std::collections::BTreeSet;

/// Number of evenly spaced photos that are all matched with each other to close loops.
const LOOP_PHOTOS: usize = 30;

/// Sets up to this size are matched exhaustively if their features are not available: 1,770 pairs.
const EXHAUSTIVE_PHOTOS: usize = 60;
/// The same for sets whose names are not consecutive, or from several cameras: 44,850 pairs.
const UNORDERED_PHOTOS: usize = 300;
/// Number of next photos by name that each photo is always matched with.
const NEIGHBOURS: usize = 4;
/// Number of nearest photos by position that each photo is always matched with.
const NEAREST: usize = 8;

/// The pairs that a run compares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pairs {
    All,
    /// Those of [`super::Matcher::Sequential`].
    InOrder,
    /// By indices into the sorted names, the lower first.
    Listed(Vec<[usize; 2]>),
}

impl Pairs {
    /// The index pairs among `count` sorted names; `overlap` as in COLMAP's options.
    pub(super) fn places(&self, count: usize, overlap: u32) -> Vec<[usize; 2]> {
        match self {
            Self::All => (0..count).flat_map(|a| (a + 1..count).map(move |b| [a, b])).collect(),
            Self::Listed(pairs) => pairs.clone(),
            Self::InOrder => {
                let overlap = overlap as usize;
                let powers = (0..overlap.min(usize::BITS as usize - 1)).map(|power| 1 << power);
                let distances: BTreeSet<usize> = (1..=overlap).chain(powers).collect();
                let near = distances
                    .into_iter()
                    .flat_map(|distance| (distance..count).map(move |b| [b - distance, b]));
                near.chain(loop_places(count)).collect::<BTreeSet<_>>().into_iter().collect()
            }
        }
    }
}

/// The selection when only names are known; `names` sorted.
pub(super) fn without_features(names: &[&str], cameras: usize) -> Pairs {
    let ordered = cameras == 1 && count_up(names);
    let limit = if ordered { EXHAUSTIVE_PHOTOS } else { UNORDERED_PHOTOS };
    if names.len() <= limit { Pairs::All } else { Pairs::InOrder }
}

/// Each of `count` photos with the next ones.
pub(super) fn neighbours(count: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..count).flat_map(move |a| (a + 1..count.min(a + 1 + NEIGHBOURS)).map(move |b| [a, b]))
}

/// How far the position `to` is to the north and to the east of `from` (degrees north and east), in degrees of latitude: a degree east is
/// shorter than one north by the cosine of the latitude. Longitudes jump from 180 to -180.
pub(super) fn degrees_apart(from: [f64; 2], to: [f64; 2]) -> [f64; 2] {
    let east = (to[1] - from[1] + 180.0).rem_euclid(360.0) - 180.0;
    [to[0] - from[0], east * from[0].to_radians().cos()]
}

/// Each photo with the ones whose position (degrees north and east) is nearest to its own.
pub(super) fn nearest(positions: &[Option<[f64; 2]>]) -> BTreeSet<[usize; 2]> {
    let mut pairs = BTreeSet::new();
    for (a, own) in positions.iter().enumerate() {
        let Some(own) = *own else { continue };
        let mut others: Vec<(f64, usize)> = (positions.iter().enumerate())
            .filter_map(|(b, other)| {
                let [north, east] = degrees_apart(own, (*other)?);
                (b != a).then_some((north.hypot(east), b))
            })
            .collect();
        others.sort_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)));
        pairs.extend(others.into_iter().take(NEAREST).map(|(_, b)| [a.min(b), a.max(b)]));
    }
    pairs
}

/// Whether most names differ from the one before by the same step of their last number, as a
/// video's frames and a camera's photos do.
fn count_up(names: &[&str]) -> bool {
    let numbers: Vec<Option<(&str, u64)>> = names.iter().map(|name| last_number(name)).collect();
    let steps: Vec<u64> = (numbers.windows(2))
        .filter_map(|pair| match pair {
            [Some((a, from)), Some((b, to))] if a == b => to.checked_sub(*from).filter(|&step| step > 0),
            _ => None,
        })
        .collect();
    let mut sorted = steps.clone();
    sorted.sort_unstable();
    let Some(&median) = sorted.get(sorted.len() / 2) else { return false };
    let regular = steps.iter().filter(|&&step| step == median).count();
    10 * regular >= 8 * names.len().saturating_sub(1)
}

/// The part of a name before its last number, and the number.
fn last_number(name: &str) -> Option<(&str, u64)> {
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = name[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    Some((&name[..start], name[start..end].parse().ok()?))
}

/// The list of pairs, one per line, that closes loops in a sequence of `names`.
pub(super) fn loop_pairs(names: &[&str]) -> String {
    loop_places(names.len()).map(|[a, b]| format!("{} {}\n", names[a], names[b])).collect()
}

/// The index pairs of that list among `count` names.
fn loop_places(count: usize) -> impl Iterator<Item = [usize; 2]> {
    let step = count.div_ceil(LOOP_PHOTOS).max(1);
    (0..count).step_by(step).flat_map(move |a| (a + step..count).step_by(step).map(move |b| [a, b]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_where_features_cannot() {
        let chosen = |names: &[String], cameras| {
            without_features(&names.iter().map(String::as_str).collect::<Vec<_>>(), cameras)
        };
        let frames = |n: usize| (0..n).map(|i| format!("video1/frame_{i:05}.jpg")).collect::<Vec<_>>();
        let times = |n: usize| (0..n).map(|i| format!("20240212_{:06}.jpg", i * i)).collect::<Vec<_>>();
        assert_eq!(chosen(&frames(49), 1), Pairs::All);
        assert_eq!(chosen(&frames(200), 1), Pairs::InOrder);
        assert_eq!(chosen(&frames(200), 2), Pairs::All);
        assert_eq!(chosen(&times(200), 1), Pairs::All);
        assert_eq!(chosen(&times(400), 1), Pairs::InOrder);
        assert_eq!(last_number("写真12é.jpg"), Some(("写真", 12)));
        assert_eq!(last_number("7.jpg"), Some(("", 7)));
        assert_eq!(last_number("a.jpg"), None);
    }

    #[test]
    fn places_are_those_of_the_commands() {
        assert_eq!(Pairs::All.places(4, 2), [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]);
        let sequential = Pairs::InOrder.places(100, 3);
        let of = |a: usize| sequential.iter().filter(move |pair| pair[0] == a).map(move |pair| pair[1] - a);
        assert_eq!(of(1).collect::<Vec<_>>(), [1, 2, 3, 4]);
        // 0, 4, 8 ... are compared with each other.
        assert_eq!(of(4).take(5).collect::<Vec<_>>(), [1, 2, 3, 4, 8]);
        assert!(Pairs::InOrder.places(1, 20).is_empty());
        assert_eq!(neighbours(3).collect::<Vec<_>>(), [[0, 1], [0, 2], [1, 2]]);
        assert_eq!(neighbours(0).count(), 0);
    }

    /// Two flights over one place at 60 degrees north, across the line where longitudes jump.
    #[test]
    fn nearest_photos_are_paired_by_position() {
        let row = |north: f64| (0..10).map(move |i| [north, 179.999_98 + 4e-6 * f64::from(i)]);
        let mut positions: Vec<Option<[f64; 2]>> = row(60.0).chain(row(60.01)).map(Some).collect();
        positions[10..].reverse();
        for position in positions.iter_mut().flatten() {
            position[1] = (position[1] + 180.0).rem_euclid(360.0) - 180.0;
        }
        positions.push(None);
        let pairs = nearest(&positions);
        assert!(pairs.iter().all(|[a, b]| (*a < 10) == (*b < 10) && *b < 20), "{pairs:?}");
        assert!((0..9).all(|a| pairs.contains(&[a, a + 1])));
        assert!(nearest(&[None, Some([1.0, 2.0])]).is_empty());
    }

    #[test]
    fn loops_are_closed_with_few_pairs() {
        let names: Vec<String> = (0..500).map(|i| format!("f{i:04}.jpg")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let pairs = loop_pairs(&names);
        assert!(pairs.lines().count() <= LOOP_PHOTOS * (LOOP_PHOTOS - 1) / 2);
        assert!(pairs.starts_with("f0000.jpg f0017.jpg\n"));
    }
}
