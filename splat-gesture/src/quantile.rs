//! Quantiles of small samples.

/// The value below which this share of the numbers lies; 0 for an empty slice.
pub(crate) fn quantile(mut values: Vec<f32>, share: f64) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get((values.len() as f64 * share) as usize).copied().unwrap_or(0.0)
}
