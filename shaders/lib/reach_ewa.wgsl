// reach (EWA form): a splat's ellipse is the level set of its 2-D Gaussian. The kernel declares `splats`.

fn splat_reach(gid: u32) -> Reach {
    let s0 = splats[gid * SPLAT_VECS];
    let s1 = splats[gid * SPLAT_VECS + 1u];
    // Where alpha >= 1/255, a hair wider against rounding.
    let bound = max(2.0 * LN_2 * (s1.y - LOG2_ALPHA_FLOOR), 0.0) * 1.0005 + 1e-4;
    return ellipse_reach(s0.xy, vec3f(s0.zw, s1.x), bound);
}
