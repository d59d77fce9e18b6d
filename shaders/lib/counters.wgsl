// counters: counts that one kernel computes and later ones and the host read.

struct Counters {
    // Gaussians, set by the host.
    gaussians: u32,
    // Intersections that fit; 0 when they did not.
    isects: u32,
    // Intersections needed, whether they fit or not.
    isects_needed: u32,
    // Set when a view did not fit; updates are skipped until the host has grown the buffers and cleared it.
    overflowed: u32,
    // Indirect dispatch over the intersections' sort blocks and over the intersections.
    sort_groups: vec3u,
    isect_groups: vec3u,
    scan_groups: vec3u,
}
