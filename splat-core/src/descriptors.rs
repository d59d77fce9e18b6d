//! Comparison of the feature descriptors of photos, for feature matching.
//!
//! A descriptor has 128 bytes, as SIFT's in COLMAP's database. The product of two descriptors is a sum of 128 products of bytes,
//! an integer, so that every implementation gives the same result.

use std::ops::ControlFlow;

use bytemuck::{Pod, Zeroable};

use crate::Result;

/// Bytes of a descriptor.
pub const DESCRIPTOR_BYTES: usize = 128;

/// The best and second best product of a descriptor with those of another photo; 0 if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BestTwo {
    /// The largest product.
    pub best: i32,
    /// The second largest product; equal to `best` if two descriptors have it.
    pub second: i32,
    /// Index of the first descriptor whose product is `best`.
    pub index: i32,
}

/// Callback for each pair of photos, with the best two for each descriptor of the first photo and of the second.
pub type EachPair<'a> = dyn FnMut(&[BestTwo], &[BestTwo]) -> ControlFlow<()> + 'a;

/// An implementation of the comparison, such as [`crate::gpu::GpuDescriptors`].
pub trait CompareDescriptors: std::fmt::Debug + Send + Sync {
    /// Compares all descriptors of pairs of photos and calls `each` for every pair, in order, with the best two for each
    /// descriptor of the first photo and of the second. Stops early if `each` breaks.
    ///
    /// `photos` contains the descriptors of each photo, concatenated; `pairs` are indices into it.
    ///
    /// # Errors
    /// Errors of the device.
    fn compare(&self, photos: &[&[u8]], pairs: &[[usize; 2]], each: &mut EachPair<'_>) -> Result<()>;
}
