// blocks: how sorts and scans cut their input.

// Elements one workgroup counts and scatters in a sort pass, and sums in a scan.
const SORT_BLOCK: u32 = 1024u;
const SCAN_BLOCK: u32 = 1024u;
const SORT_DIGITS: u32 = 256u;

// What a sort or scan runs over: which count, or the sort's table of digits by blocks.
const OVER_GAUSSIANS: u32 = 0u;
const OVER_ISECTS: u32 = 1u;

// The kernel declares `counters`.
fn element_count(over: u32) -> u32 {
    return select(counters.isects, counters.gaussians, over == OVER_GAUSSIANS);
}

fn sort_blocks(elements: u32) -> u32 {
    return (elements + SORT_BLOCK - 1u) / SORT_BLOCK;
}
