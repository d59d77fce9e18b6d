// reach (EWA form): a splat's ellipse is the level set of its 2-D Gaussian. The kernel declares `splats`.

fn splat_reach(gid: u32) -> Reach {
    let s = splats[gid];
    // Where alpha >= 1/255, a hair wider against rounding.
    let bound = max(2.0 * LN_2 * (splat_log2_opacity(s) - LOG2_ALPHA_FLOOR), 0.0) * 1.0005 + 1e-4;
    return ellipse_reach(s.mean2d_conic.xy, splat_conic(s), bound);
}
