//! Which pairs of photos are worth comparing.

use std::collections::BTreeSet;

use super::options::Matcher;

/// Photos, spread evenly, that are all compared with each other to close loops.
const LOOP_PHOTOS: usize = 30;

/// What [`Matcher::Auto`] comes down to for these photos; `names` sorted.
pub(super) fn resolve(matcher: Matcher, names: &[&str], cameras: usize) -> Matcher {
    let all_pairs = match matcher {
        Matcher::Auto if names.len() <= Matcher::EXHAUSTIVE_PHOTOS => true,
        Matcher::Auto if cameras == 1 && count_up(names) => false,
        Matcher::Auto => names.len() <= Matcher::UNORDERED_PHOTOS,
        chosen => return chosen,
    };
    if all_pairs { Matcher::Exhaustive } else { Matcher::Sequential }
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

/// What stands before the last number of a name, and the number.
fn last_number(name: &str) -> Option<(&str, u64)> {
    let end = name.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = name[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    Some((&name[..start], name[start..end].parse().ok()?))
}

/// The list of pairs, one a line, that closes loops in a sequence of `names`.
pub(super) fn loop_pairs(names: &[&str]) -> String {
    loop_places(names.len()).map(|[a, b]| format!("{} {}\n", names[a], names[b])).collect()
}

/// The places of those pairs among `count` names.
fn loop_places(count: usize) -> impl Iterator<Item = [usize; 2]> {
    let step = count.div_ceil(LOOP_PHOTOS).max(1);
    (0..count).step_by(step).flat_map(move |a| (a + step..count).step_by(step).map(move |b| [a, b]))
}

/// The places of all pairs that COLMAP's commands for `matcher` look at, among `count` sorted names; `overlap` as in its
/// options.
pub(super) fn places(matcher: Matcher, count: usize, overlap: u32) -> Vec<[usize; 2]> {
    if matcher == Matcher::Exhaustive {
        return (0..count).flat_map(|a| (a + 1..count).map(move |b| [a, b])).collect();
    }
    let overlap = overlap as usize;
    let powers = (0..overlap.min(usize::BITS as usize - 1)).map(|power| 1 << power);
    let distances: BTreeSet<usize> = (1..=overlap).chain(powers).collect();
    let near = distances.into_iter().flat_map(|distance| (distance..count).map(move |b| [b - distance, b]));
    near.chain(loop_places(count)).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(names: &[String], cameras: usize) -> Matcher {
        resolve(Matcher::Auto, &names.iter().map(String::as_str).collect::<Vec<_>>(), cameras)
    }

    #[test]
    fn auto_looks_at_count_and_names() {
        let frames = |n: usize| (0..n).map(|i| format!("video1/frame_{i:05}.jpg")).collect::<Vec<_>>();
        let times = |n: usize| (0..n).map(|i| format!("20240212_{:06}.jpg", i * i)).collect::<Vec<_>>();
        assert_eq!(resolved(&frames(49), 1), Matcher::Exhaustive);
        assert_eq!(resolved(&frames(200), 1), Matcher::Sequential);
        assert_eq!(resolved(&frames(200), 2), Matcher::Exhaustive);
        assert_eq!(resolved(&times(200), 1), Matcher::Exhaustive);
        assert_eq!(resolved(&times(400), 1), Matcher::Sequential);
        assert_eq!(resolve(Matcher::Sequential, &["a"], 1), Matcher::Sequential);
        assert_eq!(last_number("写真12é.jpg"), Some(("写真", 12)));
        assert_eq!(last_number("7.jpg"), Some(("", 7)));
        assert_eq!(last_number("a.jpg"), None);
    }

    #[test]
    fn places_are_those_of_the_commands() {
        assert_eq!(places(Matcher::Exhaustive, 4, 2), [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]);
        let sequential = places(Matcher::Sequential, 100, 3);
        let of = |a: usize| sequential.iter().filter(move |pair| pair[0] == a).map(move |pair| pair[1] - a);
        assert_eq!(of(1).collect::<Vec<_>>(), [1, 2, 3, 4]);
        // 0, 4, 8 ... are compared with each other.
        assert_eq!(of(4).take(5).collect::<Vec<_>>(), [1, 2, 3, 4, 8]);
        assert!(places(Matcher::Sequential, 1, 20).is_empty());
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
