//! Comparing the feature descriptors of photos, for programs that match features.
//!
//! A descriptor has 128 bytes, as SIFT's in COLMAP's database. Products are sums of 128 products of bytes: integers, so that every
//! way to compute them has the same result.

use std::ops::ControlFlow;

use bytemuck::{Pod, Zeroable};

use crate::Result;

/// Bytes of a descriptor.
pub const DESCRIPTOR_BYTES: usize = 128;

/// The best and second best product of a descriptor with those of another photo; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BestTwo {
    /// The largest product.
    pub best: i32,
    /// The second largest product; equal to `best` if two descriptors have it.
    pub second: i32,
    /// Place of the first descriptor whose product is `best`.
    pub index: i32,
}

/// What is called for each pair of photos, with the best two of each descriptor of the first and of the second.
pub type EachPair<'a> = dyn FnMut(&[BestTwo], &[BestTwo]) -> ControlFlow<()> + 'a;

/// A way to compare descriptors. [`crate::gpu::GpuDescriptors`] is one.
pub trait CompareDescriptors: std::fmt::Debug + Send + Sync {
    /// Compares all descriptors of pairs of photos, and calls `each` for every pair, in order: with the best two of each descriptor of
    /// the first photo, then of the second. Ends early if `each` breaks.
    ///
    /// `photos` holds the descriptors of each photo, one after the other; `pairs` are indices into it.
    ///
    /// # Errors
    /// What a device reports.
    fn compare(&self, photos: &[&[u8]], pairs: &[[usize; 2]], each: &mut EachPair<'_>) -> Result<()>;
}
