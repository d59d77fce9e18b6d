// scan: the input of scan_reduce and scan_apply.

// 0: one value per Gaussian. 1: the digit table of a sort over the Gaussians. 2: of one over the intersections.
override SCAN_OVER: u32 = 0u;

fn scan_length() -> u32 {
    if (SCAN_OVER == 0u) {
        return counters.gaussians;
    }
    return sort_blocks(element_count(SCAN_OVER - 1u)) * SORT_DIGITS;
}

// Saturating: a sum beyond 32 bits counts as too many, not as few.
fn saturating_add(a: u32, b: u32) -> u32 {
    let sum = a + b;
    return select(sum, 0xffffffffu, sum < a);
}
