//! Orders Gaussians so that neighbours in space are adjacent in the file: chunks get small ranges, and images compress better.

use rayon::prelude::*;

use crate::gaussians::GaussianCloud;

/// Indices of a cloud's Gaussians along a Z-order curve through its bounding box, 21 bits per axis.
pub(crate) fn order(cloud: &GaussianCloud) -> Vec<u32> {
    const STEPS: f32 = ((1_u32 << 21) - 1) as f32;
    let (low, high) = cloud.bounds().unwrap_or_default();
    let code = |mean: &[f32; 3]| {
        let axis = |axis: usize| {
            let extent = high[axis] - low[axis];
            let fraction = if extent > 0.0 { (mean[axis] - low[axis]) / extent } else { 0.0 };
            spread((fraction * STEPS) as u64) << axis
        };
        axis(0) | axis(1) | axis(2)
    };
    let mut keys: Vec<(u64, u32)> = cloud.means.par_iter().map(code).zip(0..cloud.len() as u32).collect();
    keys.par_sort_unstable();
    keys.into_iter().map(|(_, index)| index).collect()
}

/// Inserts two zero bits between the lowest 21 bits.
fn spread(value: u64) -> u64 {
    let mut bits = value & 0x1f_ffff;
    bits = (bits | bits << 32) & 0x001f_0000_0000_ffff;
    bits = (bits | bits << 16) & 0x001f_0000_ff00_00ff;
    bits = (bits | bits << 8) & 0x100f_00f0_0f00_f00f;
    bits = (bits | bits << 4) & 0x10c3_0c30_c30c_30c3;
    (bits | bits << 2) & 0x1249_2492_4924_9249
}
