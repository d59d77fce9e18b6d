// ray_quadric_gradient (global form): from the sums of lib/response_gut.wgsl, where all rays have one origin, to gradients.

fn quadric_gradient(c: RayQuadric, sum: Slot) -> QuadricGradient {
    // Sums over pixels of v_N x_i x_j, in units where Sigma is R diag(sigma^2) R^T.
    let over = -0.5 / (c.size * c.size * c.under);
    let n_xx = over * sum.a.x;
    let n_xy = over * sum.a.y;
    let n_yy = over * sum.a.z;
    let n_xz = over * sum.a_z.x;
    let n_yz = over * sum.a_z.y;
    // Of v_D x_i x_j, in units where adj is R diag(cofactor^2) R^T.
    let under = LN_2 / c.under;
    let d_plane = under * sum.b;
    let d_along = under * sum.b_z;

    let levers = mat3x3f(c.lever1, c.lever2, vec3f(0.0));
    let from_over = twice_form_times(levers, vec3f(n_xx, n_xy, n_yy), vec3f(0.0), c.axes);
    let from_under = twice_form_times(c.frame, d_plane, d_along, c.axes);

    // 2 sum v_N (Sigma q) x d, with q = x lever1 + y lever2 and d = x t1 + y t2 + z t3.
    let sigma2 = c.sigma * c.sigma;
    let s1 = c.axes * (sigma2 * (c.lever1 * c.axes));
    let s2 = c.axes * (sigma2 * (c.lever2 * c.axes));
    let v_mean = 2.0 * (cross(s1, n_xx * c.frame[0] + n_xy * c.frame[1] + n_xz * c.frame[2])
        + cross(s2, n_xy * c.frame[0] + n_yy * c.frame[1] + n_yz * c.frame[2]));
    return quadric_gradient_of(c, v_mean, from_over, from_under);
}
