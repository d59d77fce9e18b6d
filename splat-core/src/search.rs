//! Binary search.

/// The largest number in `low..=high` that fits, if all up to some number do; `low`, untested, if none does.
pub(crate) fn largest_that_fits(low: u32, high: u32, fits: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::largest_that_fits;

    #[test]
    fn the_last_that_fits_is_found() {
        for last in 0..20 {
            assert_eq!(largest_that_fits(3, 12, |n| n <= last), last.clamp(3, 12));
        }
        assert_eq!(largest_that_fits(1, u32::MAX, |_| true), u32::MAX);
    }
}
