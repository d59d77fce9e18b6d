//! When COLMAP's `pose_prior_mapper` uses the photos' GPS positions.
//!
//! It is the incremental mapper, with the positions, which `feature_extractor` reads from EXIF, as observations of the camera centres in
//! bundle adjustment. Its model is in metres, with the third axis up. Table "GPS" of `docs/benchmarks.md`.

use super::pairs::degrees_apart;
use super::prepare::Photos;

/// Assumed standard deviation of a GPS position in metres: that of a phone under open sky. Drones are more accurate; the value matters
/// little, since there are a few positions and thousands of image points.
pub(super) const POSITION_STD_M: &str = "5";
/// Minimum extent of the positions in metres: ten standard deviations. Over smaller areas their error is too large a part of the extent to
/// determine scale and orientation.
const MIN_EXTENT_M: f64 = 50.0;
/// Minimum number of positions: three determine scale and orientation, and some may be wrong.
const MIN_POSITIONS: usize = 5;
/// Metres per degree of latitude.
const METRES_PER_DEGREE: f64 = 111_320.0;

/// Whether the positions of at least half of the photos are known, and spread widely enough to place cameras by them.
pub(super) fn are_worth_using(photos: &Photos) -> bool {
    let positions: Vec<[f64; 2]> = (photos.positions.iter())
        // COLMAP takes no position without a height.
        .filter(|(name, _)| photos.altitudes.contains_key(*name))
        .map(|(_, &position)| position)
        .collect();
    positions.len() >= MIN_POSITIONS
        && 2 * positions.len() >= photos.count()
        && extent_m(&positions) >= MIN_EXTENT_M
}

/// Diagonal in metres of the rectangle around the positions (degrees north and east), without the outermost tenth on each side.
fn extent_m(positions: &[[f64; 2]]) -> f64 {
    let Some(&first) = positions.first() else { return 0.0 };
    let spread = |axis: usize| {
        let mut values: Vec<f64> =
            positions.iter().map(|&position| degrees_apart(first, position)[axis]).collect();
        values.sort_by(f64::total_cmp);
        let cut = values.len() / 10;
        values[values.len() - 1 - cut] - values[cut]
    };
    METRES_PER_DEGREE * spread(0).hypot(spread(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Photos `p0`, `p1` ... every `step_m` metres to the east, at 60 degrees north and across the line where longitudes jump.
    fn row(count: usize, step_m: f64) -> Photos {
        let step = step_m / METRES_PER_DEGREE / 60_f64.to_radians().cos();
        let name = |i: usize| format!("p{i}");
        let east = |i: usize| (179.999 + step * i as f64 + 180.0).rem_euclid(360.0) - 180.0;
        Photos {
            cameras: vec![(0..count).map(name).collect()],
            positions: (0..count).map(|i| (name(i), [60.0, east(i)])).collect(),
            altitudes: (0..count).map(|i| (name(i), 100.0)).collect(),
            ..Photos::default()
        }
    }

    #[test]
    fn positions_are_used_if_they_spread_far_beyond_their_error() {
        // The middle 16 of 20: 60 m, and 45 m, which are 90 m of longitude at the equator.
        assert!(are_worth_using(&row(20, 4.0)));
        assert!(!are_worth_using(&row(20, 3.0)));
        // Around a thing in a garden.
        assert!(!are_worth_using(&row(20, 0.5)));
        // There too, with one position far off.
        let mut garden = row(20, 0.5);
        garden.positions.insert("p7".to_owned(), [60.01, 170.0]);
        assert!(!are_worth_using(&garden));
        assert!(!are_worth_using(&row(4, 100.0)), "too few");
        let mut half = row(20, 10.0);
        half.altitudes.retain(|name, _| name.len() > 2);
        assert!(are_worth_using(&half), "10 of 20");
        half.altitudes.remove("p15");
        assert!(!are_worth_using(&half), "9 of 20");
        assert!(!are_worth_using(&Photos::default()));
    }
}
