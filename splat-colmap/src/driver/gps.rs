//! When COLMAP's `pose_prior_mapper` uses the photos' GPS positions.
//!
//! It is the incremental mapper with the positions as weak observations of the camera centres, which `feature_extractor` takes from
//! EXIF. Its model is in metres, with the third axis up, and long strips of photos cannot bend. Table "GPS" of `docs/benchmarks.md`.

use super::prepare::Photos;

/// Standard deviation of a GPS position, in metres: a phone's in the open. A drone's are better; points in photos decide all the same, since
/// each of thousands weighs as much as one position.
pub(super) const POSITION_STD_M: &str = "5";
/// Minimum extent of the positions in metres, ten standard deviations: below it they say less on shape and scale of a scene than they err.
const MIN_EXTENT_M: f64 = 50.0;
/// Minimum number of positions: three points determine a similarity, and one of them may be wrong.
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

/// Diagonal of the rectangle that holds the middle four fifths of the positions (degrees north and east) on either axis, in metres.
fn extent_m(positions: &[[f64; 2]]) -> f64 {
    let Some(&[origin_north, origin_east]) = positions.first() else { return 0.0 };
    let spread = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let cut = values.len() / 10;
        values[values.len() - 1 - cut] - values[cut]
    };
    let north = spread(positions.iter().map(|position| position[0]).collect());
    // Longitudes jump from 180 to -180 degrees.
    let east = spread(
        positions.iter().map(|position| (position[1] - origin_east + 180.0).rem_euclid(360.0)).collect(),
    );
    METRES_PER_DEGREE * north.hypot(east * origin_north.to_radians().cos())
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
        assert!(are_worth_using(&row(20, 4.0)));
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
