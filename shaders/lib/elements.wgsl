// elements: how many elements a sort or scan has.

// The input of a sort or scan: a count of elements, or the digit table of a sort.
const OVER_GAUSSIANS: u32 = 0u;
const OVER_ISECTS: u32 = 1u;

// The kernel declares `counters`.
fn element_count(over: u32) -> u32 {
    return select(counters.isects, counters.gaussians, over == OVER_GAUSSIANS);
}
