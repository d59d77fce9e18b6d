// blocks: how sorts and scans divide their input into blocks.

// Elements one workgroup counts and scatters in a sort pass, and sums in a scan.
const SORT_BLOCK: u32 = 1024u;
const SCAN_BLOCK: u32 = 1024u;
const SORT_DIGITS: u32 = 256u;

// The input of a sort or scan: a count of elements, or the digit table of a sort.
const OVER_GAUSSIANS: u32 = 0u;
const OVER_ISECTS: u32 = 1u;

// The kernel declares `counters`.
fn element_count(over: u32) -> u32 {
    return select(counters.isects, counters.gaussians, over == OVER_GAUSSIANS);
}

fn sort_blocks(elements: u32) -> u32 {
    return (elements + SORT_BLOCK - 1u) / SORT_BLOCK;
}
