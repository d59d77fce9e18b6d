// extent (EWA form): the region a splat may colour is a level set of its 2-D Gaussian, an ellipse. The kernel declares `splats`.

fn splat_extent(i: u32) -> Extent {
    let s = splats[i];
    // Where alpha >= 1/255, slightly enlarged against rounding.
    let bound = max(2.0 * LN_2 * (splat_log2_opacity(s) - LOG2_ALPHA_FLOOR), 0.0) * 1.0005 + 1e-4;
    return ellipse_extent(s.mean2d_conic.xy, splat_conic(s), bound);
}
