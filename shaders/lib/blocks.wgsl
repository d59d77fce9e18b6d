// blocks: how sorts and scans divide their input into blocks.

// Elements one workgroup counts and scatters in a sort pass, and sums in a scan.
const SORT_BLOCK: u32 = 1024u;
const SCAN_BLOCK: u32 = 1024u;
const SORT_DIGITS: u32 = 256u;

fn sort_blocks(elements: u32) -> u32 {
    return (elements + SORT_BLOCK - 1u) / SORT_BLOCK;
}
