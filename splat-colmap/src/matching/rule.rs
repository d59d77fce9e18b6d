//! COLMAP's ratio test for a match, with the same result on every machine.
//!
//! A feature's partner is the one at the smallest angle, if that angle is at most 0.7 rad and below 0.8 times the angle of
//! the second best. Angles are acos(d / 512^2) of the integer product d of two descriptors of length 512. Mathematical
//! libraries differ in the last bits of an arc cosine; the form here takes additions, products and square roots, which
//! IEEE 754 defines exactly.

/// The product of a descriptor of length 512 with itself.
const UNIT: i32 = 512 * 512;
/// The least product at an angle of at most 0.7 rad: 512^2 * cos(0.7) = 200,498.03...
const LEAST: i32 = 200_499;

/// Whether a best product is far enough above the second best to be a match.
///
/// With a = acos(best / 512^2) the second must be at an angle above a / 0.8 = 5 (a / 4). The cosine y of a / 4 follows by
/// halving twice, cos(5x) from cos(x) by the Chebyshev polynomial of degree 5.
pub(super) fn accepts(best: i32, second: i32) -> bool {
    if best < LEAST {
        return false;
    }
    // Lengths are rounded to integers, so that a product may be a little above a unit's: an angle of zero.
    let cosine = f64::from(best.min(UNIT)) / f64::from(UNIT);
    let y2 = f64::midpoint(1.0, f64::midpoint(1.0, cosine).sqrt());
    let limit = y2.sqrt() * ((16.0 * y2 - 20.0) * y2 + 5.0);
    f64::from(second) < limit * f64::from(UNIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule as COLMAP writes it.
    fn by_angles(best: i32, second: i32) -> bool {
        let angle = |d: i32| (f64::from(d) / f64::from(UNIT)).min(1.0).acos();
        angle(best) <= 0.7 && angle(best) < 0.8 * angle(second)
    }

    #[test]
    fn it_is_the_rule_of_angles() {
        for best in (0..UNIT + 600).step_by(37).chain(LEAST - 2..LEAST + 2).chain(UNIT - 9..UNIT + 9) {
            // Where the ratio is met, to the nearest integer, and far from it.
            let edge = ((f64::from(best) / f64::from(UNIT)).min(1.0).acos() / 0.8).cos() * f64::from(UNIT);
            for second in [0, edge as i32 - 1, edge as i32 + 2, best].into_iter().filter(|&s| s <= best) {
                assert_eq!(accepts(best, second), by_angles(best, second), "{best} {second}");
            }
        }
    }

    #[test]
    fn two_that_are_as_good_are_no_match() {
        assert!(accepts(UNIT, UNIT - 1) && !accepts(UNIT, UNIT) && !accepts(UNIT + 9, UNIT));
    }
}
