//! The matches of pairs of photos, on the processor or on a GPU.

use std::ops::ControlFlow;

use rayon::prelude::*;
use splat_core::descriptors::{BestTwo, CompareDescriptors};

use super::database::Matches;
use super::kernel::Buffers;
use super::{Limit, rule};
use crate::error::Result;

/// What compares descriptors. Both give the same matches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Comparer<'a> {
    /// All cores of this machine.
    Processor,
    /// A GPU, with the kernels for matching.
    Gpu(&'a dyn CompareDescriptors),
}

impl Comparer<'_> {
    /// The matches of each pair of photos, given by indices into `photos`, their descriptors; `matched` is called after each pair.
    pub(super) fn matches(
        self,
        photos: &[&[u8]],
        pairs: &[[usize; 2]],
        limit: &Limit<'_>,
        matched: &(dyn Fn() + Sync),
    ) -> Result<Vec<Matches>> {
        match self {
            Self::Processor => (pairs.par_iter())
                .map_init(Buffers::default, |buffers, pair| {
                    limit.check()?;
                    let [a, b] = pair.map(|place| photos[place]);
                    let (rows, columns) = buffers.best_two(a, b);
                    let matches = mutual(&rows, &columns);
                    matched();
                    Ok(matches)
                })
                .collect(),
            Self::Gpu(device) => {
                let mut all = Vec::with_capacity(pairs.len());
                let mut ended = Ok(());
                device.compare(photos, pairs, &mut |rows, columns| {
                    ended = limit.check();
                    if ended.is_err() {
                        return ControlFlow::Break(());
                    }
                    all.push(mutual(rows, columns));
                    matched();
                    ControlFlow::Continue(())
                })?;
                ended.map(|()| all)
            }
        }
    }
}

/// Features of two photos that are each other's best match by COLMAP's rule, from the best two of each (`rows` of the first photo,
/// `columns` of the second).
fn mutual(rows: &[BestTwo], columns: &[BestTwo]) -> Matches {
    let mut matches: Matches = (columns.iter().enumerate())
        .filter(|(_, column)| rule::accepts(column.best, column.second))
        .filter(|(_, column)| {
            // Where the row's best is this product, and its second best is less, the row's partner is this column.
            let row = rows.get(column.index as usize);
            row.is_some_and(|row| row.best == column.best && rule::accepts(row.best, row.second))
        })
        .map(|(place, column)| [column.index as u32, place as u32])
        .collect();
    matches.sort_unstable();
    matches
}
