// counters: counts that one kernel computes and later ones and the host read.
//
// There is one for each depth slice: where the intersections of a view are more than a buffer holds, the Gaussians are divided, near
// to far, into slices whose intersections fit, and each slice is listed, sorted and blended in turn. What concerns the whole view is in
// the first slice's.

struct Counters {
    // Gaussians, set by the host. First slice.
    gaussians: u32,
    // The slice's intersections.
    isects: u32,
    // Intersections of the view, whether they fit or not. First slice.
    isects_needed: u32,
    // Set when a view did not fit; updates are skipped until the host has grown the buffers and cleared it. First slice.
    overflowed: u32,
    // The slice's Gaussians: first and one-past-last place in the order near to far.
    first_rank: u32,
    end_rank: u32,
    // Intersections of all nearer slices.
    first_isect: u32,
    // SLICE_NEAREST, SLICE_FARTHEST and SPLATS_BY_RANK, set by the host.
    place: u32,
    // Indirect dispatch over the intersections' sort blocks and over the intersections.
    sort_groups: vec3u,
    isect_groups: vec3u,
    scan_groups: vec3u,
}

// Bits of `place`.
const SLICE_NEAREST: u32 = 1u;
const SLICE_FARTHEST: u32 = 2u;
// Splats are not indexed by Gaussian but by its place in the slice (slice_splats.wgsl).
const SPLATS_BY_RANK: u32 = 4u;
