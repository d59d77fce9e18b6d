//! All products of the descriptors of two photos, reduced to the best and second best per descriptor.
//!
//! A matrix product in integers: six rows by sixteen columns are summed in registers, two bytes of a descriptor at a time
//! (16-bit products in pairs, `vpmaddwd`). All forms add the same integers, so every machine has the same result.

use splat_core::descriptors::{BestTwo, DESCRIPTOR_BYTES as LENGTH};

/// Pairs of bytes of a descriptor; each pair is held as two 16-bit numbers in 32 bits, the first one low.
const PAIRS: usize = LENGTH / 2;
/// Rows summed at once. With two vectors of columns that takes 12 of AVX2's 16 registers.
const ROWS: usize = 6;
/// Columns that are summed at once: two vectors of eight.
const COLUMNS: usize = 16;

/// Two bytes of a descriptor, which one instruction multiplies and adds.
type Pair = [i16; 2];
type Row = [Pair; PAIRS];
type Sums = [[i32; COLUMNS]; ROWS];

/// Sixteen descriptors, pair by pair.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Panel([[Pair; COLUMNS]; PAIRS]);

/// Scratch memory of one thread, reused for every pair of photos.
#[derive(Default)]
pub(super) struct Buffers {
    rows: Vec<Row>,
    panels: Vec<Panel>,
    lanes: Vec<[[i32; COLUMNS]; 2]>,
}

impl Buffers {
    /// Best and second best of each descriptor in `a` (rows) and in `b` (columns), 128 bytes a descriptor. Rows have no `index`.
    pub(super) fn best_two(&mut self, a: &[u8], b: &[u8]) -> (Vec<BestTwo>, Vec<BestTwo>) {
        let (a, b) = (a.as_chunks::<LENGTH>().0, b.as_chunks::<LENGTH>().0);
        // Padded with zero descriptors, whose products of 0 are never a match.
        self.rows.clear();
        self.rows.extend(a.iter().map(row));
        self.rows.resize(a.len().next_multiple_of(ROWS), [[0; 2]; PAIRS]);
        self.panels.clear();
        self.panels.extend(b.chunks(COLUMNS).map(panel));
        self.lanes.clear();
        self.lanes.resize(self.rows.len(), [[0; COLUMNS]; 2]);
        let mut columns = vec![BestTwo::default(); self.panels.len() * COLUMNS];
        Comparison { rows: &self.rows, panels: &self.panels, lanes: &mut self.lanes, columns: &mut columns }
            .run();
        columns.truncate(b.len());
        let rows = self.lanes.iter().take(a.len()).map(across).collect();
        (rows, columns)
    }
}

fn pair(bytes: [u8; 2]) -> Pair {
    bytes.map(i16::from)
}

fn row(descriptor: &[u8; LENGTH]) -> Row {
    let mut row = [[0; 2]; PAIRS];
    for (pair_of_row, &bytes) in row.iter_mut().zip(descriptor.as_chunks::<2>().0) {
        *pair_of_row = pair(bytes);
    }
    row
}

fn panel(descriptors: &[[u8; LENGTH]]) -> Panel {
    let mut panel = Panel([[[0; 2]; COLUMNS]; PAIRS]);
    for (column, descriptor) in descriptors.iter().enumerate() {
        for (pairs, &bytes) in panel.0.iter_mut().zip(descriptor.as_chunks::<2>().0) {
            pairs[column] = pair(bytes);
        }
    }
    panel
}

/// Best and second best of a row from those of every sixteenth column.
fn across([best, second]: &[[i32; COLUMNS]; 2]) -> BestTwo {
    let mut of_row = BestTwo::default();
    for &value in best.iter().chain(second) {
        of_row.second = of_row.second.max(of_row.best.min(value));
        of_row.best = of_row.best.max(value);
    }
    of_row
}

/// A way to multiply six rows with sixteen columns.
trait Multiply: Copy {
    fn products(self, rows: &[Row; ROWS], panel: &Panel) -> Sums;
}

/// Portable form, which compilers vectorise for the baseline instruction set.
#[derive(Clone, Copy)]
struct Portable;

impl Multiply for Portable {
    #[inline(always)]
    fn products(self, rows: &[Row; ROWS], panel: &Panel) -> Sums {
        let mut sums = [[0; COLUMNS]; ROWS];
        for (k, pairs) in panel.0.iter().enumerate() {
            for r in 0..ROWS {
                let [low, high] = rows[r][k].map(i32::from);
                for c in 0..COLUMNS {
                    sums[r][c] += low * i32::from(pairs[c][0]) + high * i32::from(pairs[c][1]);
                }
            }
        }
        sums
    }
}

#[cfg(target_arch = "x86_64")]
impl Multiply for pulp::x86::V3 {
    #[inline(always)]
    fn products(self, rows: &[Row; ROWS], panel: &Panel) -> Sums {
        let mut sums = [[self.avx._mm256_setzero_si256(); 2]; ROWS];
        for (k, &pairs) in panel.0.iter().enumerate() {
            let [left, right]: [std::arch::x86_64::__m256i; 2] = bytemuck::cast(pairs);
            for r in 0..ROWS {
                let row = self.avx._mm256_set1_epi32(bytemuck::cast(rows[r][k]));
                let [sum_left, sum_right] = sums[r];
                sums[r] = [
                    self.avx2._mm256_add_epi32(sum_left, self.avx2._mm256_madd_epi16(row, left)),
                    self.avx2._mm256_add_epi32(sum_right, self.avx2._mm256_madd_epi16(row, right)),
                ];
            }
        }
        bytemuck::cast(sums)
    }
}

/// Input and output of the kernel.
struct Comparison<'a> {
    rows: &'a [Row],
    panels: &'a [Panel],
    lanes: &'a mut [[[i32; COLUMNS]; 2]],
    columns: &'a mut [BestTwo],
}

impl Comparison<'_> {
    /// Runs with the best instruction set of this machine.
    fn run(self) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = pulp::x86::V3::try_new() {
            return simd.vectorize(WithAvx2(simd, self));
        }
        self.run_with(Portable);
    }

    #[inline(always)]
    fn run_with(self, multiply: impl Multiply) {
        for (panel, columns) in self.panels.iter().zip(self.columns.as_chunks_mut::<COLUMNS>().0) {
            let [mut best, mut second, mut index] = [[0_i32; COLUMNS]; 3];
            let tiles = self.rows.as_chunks::<ROWS>().0.iter().zip(self.lanes.as_chunks_mut::<ROWS>().0);
            for (tile, (rows, lanes)) in tiles.enumerate() {
                let sums = multiply.products(rows, panel);
                for r in 0..ROWS {
                    let row = (tile * ROWS + r) as i32;
                    let [row_best, row_second] = &mut lanes[r];
                    for c in 0..COLUMNS {
                        let value = sums[r][c];
                        row_second[c] = row_second[c].max(row_best[c].min(value));
                        row_best[c] = row_best[c].max(value);
                        second[c] = second[c].max(best[c].min(value));
                        index[c] = if value > best[c] { row } else { index[c] };
                        best[c] = best[c].max(value);
                    }
                }
            }
            for (c, column) in columns.iter_mut().enumerate() {
                *column = BestTwo { best: best[c], second: second[c], index: index[c] };
            }
        }
    }
}

/// A comparison that is compiled with AVX2.
#[cfg(target_arch = "x86_64")]
struct WithAvx2<'a>(pulp::x86::V3, Comparison<'a>);

#[cfg(target_arch = "x86_64")]
impl pulp::NullaryFnOnce for WithAvx2<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.1.run_with(self.0);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    /// Bytes that are spread over all values and are the same in every run.
    fn descriptors(count: usize, seed: u32) -> Vec<u8> {
        let mut state = seed;
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(count * LENGTH).collect()
    }

    fn by_definition(a: &[u8], b: &[u8]) -> Vec<BestTwo> {
        let of = |a: &[u8]| {
            let mut two = BestTwo::default();
            for (index, b) in b.chunks(LENGTH).enumerate() {
                let value = a.iter().zip(b).map(|(&x, &y)| i32::from(x) * i32::from(y)).sum();
                if value > two.best {
                    two = BestTwo { best: value, second: two.best, index: index as i32 };
                } else {
                    two.second = two.second.max(value);
                }
            }
            two
        };
        a.chunks(LENGTH).map(of).collect()
    }

    #[test]
    fn every_product_is_seen_at_every_size() {
        let mut buffers = Buffers::default();
        for (rows, columns) in [(1, 1), (6, 16), (7, 17), (5, 40), (50, 3), (23, 33), (0, 4), (4, 0)] {
            let (a, b) = (descriptors(rows, 1), descriptors(columns, 2));
            let (of_rows, of_columns) = buffers.best_two(&a, &b);
            assert_eq!(of_columns, by_definition(&b, &a), "{rows} x {columns}");
            let values = |two: &BestTwo| (two.best, two.second);
            let expected: Vec<_> = by_definition(&a, &b).iter().map(values).collect();
            assert_eq!(of_rows.iter().map(values).collect::<Vec<_>>(), expected, "{rows} x {columns}");
        }
    }

    #[test]
    fn the_plain_form_and_the_largest_values_agree() {
        let largest = vec![255; 20 * LENGTH];
        let (rows, columns) = Buffers::default().best_two(&largest, &largest);
        let best = 255 * 255 * LENGTH as i32;
        assert!(rows.iter().chain(&columns).all(|two| two.best == best && two.second == best));
        let (a, b) = (descriptors(ROWS, 3), descriptors(COLUMNS, 4));
        let rows: Vec<Row> = a.as_chunks::<LENGTH>().0.iter().map(row).collect();
        let rows = rows.as_chunks::<ROWS>().0.first().unwrap();
        let sums = Portable.products(rows, &panel(b.as_chunks::<LENGTH>().0));
        for (c, column) in by_definition(&b, &a).iter().enumerate() {
            assert_eq!(sums.iter().map(|sums| sums[c]).max(), Some(column.best));
        }
    }
}
