// counters: counts that one kernel finds and later ones follow, and what the host reads back.

struct Counters {
    // Gaussians, set by the host.
    gaussians: u32,
    // Intersections that fit; 0 when they did not.
    isects: u32,
    // Intersections needed, whether they fit or not.
    isects_needed: u32,
    // Set when a view did not fit, cleared by the host alone: updates stop until it has grown the buffers.
    overflowed: u32,
    // Indirect dispatch over the intersections' sort blocks and over the intersections.
    sort_groups: vec3u,
    isect_groups: vec3u,
    scan_groups: vec3u,
}
