//! Comparison of feature descriptors on a GPU.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use super::Gpu;
use super::kernel::Kernel;
use super::layout::DescriptorGroup;
use super::profile::Pass;
use super::shaders::{self, Switches};
use crate::descriptors::{BestTwo, CompareDescriptors, DESCRIPTOR_BYTES, EachPair};
use crate::{Error, Result};

/// Descriptors that one workgroup compares with all of the other photo's.
const GROUP: u32 = 64;
/// Maximum products per submission: a fraction of a second on a small integrated GPU, whose driver would kill longer ones.
const PRODUCTS: u64 = 1 << 29;
/// Maximum results per submission: 24 MiB.
const RESULTS: u64 = 1 << 21;

/// [`CompareDescriptors`] on a device, by packed dot products of four bytes.
#[derive(Debug)]
pub struct GpuDescriptors {
    gpu: Gpu,
    kernel: Kernel,
}

impl GpuDescriptors {
    /// For this device.
    #[must_use]
    pub fn new(gpu: &Gpu) -> Self {
        Self { gpu: gpu.clone(), kernel: Kernel::new(gpu, shaders::BEST_TWO, Switches::default(), &[]) }
    }

    /// For this device, unless it is a software renderer, which is slower than the CPU implementation, or its driver computes
    /// packed products incorrectly.
    #[must_use]
    pub fn on_hardware(gpu: &Gpu) -> Option<Arc<dyn CompareDescriptors>> {
        if gpu.report().is_software() {
            return None;
        }
        let this = Self::new(gpu);
        this.multiplies().then(|| Arc::new(this) as Arc<dyn CompareDescriptors>)
    }

    /// Whether the largest product and a small one are computed correctly.
    fn multiplies(&self) -> bool {
        let (largest, small) = ([u8::MAX; DESCRIPTOR_BYTES], [3; DESCRIPTOR_BYTES]);
        let product = |a: u8, b: u8| DESCRIPTOR_BYTES as i32 * i32::from(a) * i32::from(b);
        let both = [small, largest].concat();
        let expected = [
            BestTwo { best: product(255, 255), second: product(255, 3), index: 1 },
            BestTwo { best: product(255, 255), second: 0, index: 0 },
        ];
        let mut right = false;
        let compared = self.compare(&[&largest, &both], &[[0, 1]], &mut |first, second| {
            right = first.first() == expected.first() && second.get(1) == expected.get(1);
            ControlFlow::Continue(())
        });
        compared.is_ok() && right
    }
}

impl CompareDescriptors for GpuDescriptors {
    fn compare(&self, photos: &[&[u8]], pairs: &[[usize; 2]], each: &mut EachPair<'_>) -> Result<()> {
        let gpu = &self.gpu;
        let mut places: Vec<Range<u32>> = Vec::with_capacity(photos.len());
        let mut all: Vec<[u8; DESCRIPTOR_BYTES]> = Vec::new();
        for photo in photos {
            let first = all.len();
            all.extend_from_slice(photo.as_chunks().0);
            places.push(descriptor_place(first)?..descriptor_place(all.len())?);
        }
        let descriptors = gpu.storage_from("splat.descriptors", &all)?;
        drop(all);
        let mut rest = pairs;
        while !rest.is_empty() {
            let (groups, results, batch) = plan(&places, rest);
            let (now, later) = rest.split_at(batch);
            rest = later;
            let compared: Vec<BestTwo> = if groups.is_empty() {
                Vec::new()
            } else {
                let count = groups.len() as u32;
                let listed = gpu.storage_from("splat.descriptor_groups", &groups)?;
                let best = gpu.storage("splat.best_two", u64::from(results) * size_of::<BestTwo>() as u64)?;
                let bindings = self.kernel.bind(gpu, &[&descriptors, &listed, &best]);
                gpu.submit("splat.best_two", |encoder| {
                    let mut pass = Pass::begin(encoder, None);
                    self.kernel.dispatch(&mut pass, &bindings, count);
                });
                gpu.read(&best, results as usize)?
            };
            let mut compared = compared.as_slice();
            for pair in now {
                let [first, second] = pair.map(|photo| {
                    let (of_photo, others) = compared.split_at(places[photo].len());
                    compared = others;
                    of_photo
                });
                if each(first, second).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn descriptor_place(place: usize) -> Result<u32> {
    u32::try_from(place).map_err(|_| Error::BindingTooLarge {
        what: "splat.descriptors",
        bytes: (place * DESCRIPTOR_BYTES) as u64,
        limit: u64::from(u32::MAX) * DESCRIPTOR_BYTES as u64,
    })
}

/// The workgroups for the first of `pairs`, as many as fit in a submission but at least one pair, with the number of their
/// results and of pairs.
fn plan(places: &[Range<u32>], pairs: &[[usize; 2]]) -> (Vec<DescriptorGroup>, u32, usize) {
    let mut groups = Vec::new();
    let (mut results, mut products, mut batch) = (0_u32, 0_u64, 0);
    for pair in pairs {
        let [a, b] = pair.map(|photo| &places[photo]);
        let counts = [a, b].map(|place| u64::from(place.end - place.start));
        products += 2 * counts[0] * counts[1];
        let full = products > PRODUCTS || u64::from(results) + counts[0] + counts[1] > RESULTS;
        if full && batch > 0 {
            break;
        }
        for (own, other) in [(a, b), (b, a)] {
            for first in own.clone().step_by(GROUP as usize) {
                let count = GROUP.min(own.end - first);
                let other_count = other.end - other.start;
                groups.push(DescriptorGroup {
                    first,
                    count,
                    other_first: other.start,
                    other_count,
                    result: results,
                });
                results += count;
            }
        }
        batch += 1;
    }
    (groups, results, batch)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test")]
mod tests {
    use super::*;
    use crate::GpuOptions;

    #[test]
    fn known_products_are_right_and_software_is_left_to_the_processor() {
        let gpu = Gpu::new(&GpuOptions::default()).unwrap();
        assert!(GpuDescriptors::new(&gpu).multiplies());
        assert!(GpuDescriptors::on_hardware(&gpu).is_some() != gpu.report().is_software());
    }

    #[test]
    fn large_sets_are_submitted_in_parts() {
        let places = [0..20_000, 20_000..40_000, 40_000..40_100];
        let (groups, results, batch) = plan(&places, &[[0, 1], [0, 2], [1, 2]]);
        assert_eq!((results, batch), (40_000, 1), "one that is too large is alone");
        assert_eq!(groups.len(), 2 * 20_000_usize.div_ceil(64));
        let (groups, results, batch) = plan(&places, &[[0, 2], [1, 2], [0, 1]]);
        assert_eq!((results, batch), (40_200, 2));
        let last = groups.last().unwrap();
        assert_eq!(last.result + last.count, results);
    }
}
