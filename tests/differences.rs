//! What the comparisons of gradients with central differences share.

/// Step of the central differences: f64 leaves nine correct digits.
pub(crate) const STEP: f64 = 1e-6;
/// Pixels that come this near to a jump of the picture are left out.
pub(crate) const CLEAR_OF_JUMPS: f64 = 3e-4;

/// Every entry within 1e-4 of its own size and `of_largest` of the largest; and there must be something to compare.
pub(crate) fn assert_gradients(what: &str, ours: &[f64], expected: &[f64], of_largest: f64) {
    assert_eq!(ours.len(), expected.len(), "{what}: different sizes");
    let largest = expected.iter().fold(0.0_f64, |max, value| max.max(value.abs()));
    assert!(largest > 1e-3, "{what}: nothing moves the loss, so the fixture tests nothing");
    for (index, (ours, expected)) in ours.iter().zip(expected).enumerate() {
        let allowed = 1e-4 * expected.abs() + of_largest * largest;
        assert!(
            (ours - expected).abs() <= allowed,
            "{what}[{index}]: {ours} on the GPU, {expected} by differences, largest {largest}"
        );
    }
}
