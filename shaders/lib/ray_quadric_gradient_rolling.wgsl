// ray_quadric_gradient (rolling form): from the sums of lib/response_rolling.wgsl, where each ray has its own origin, to gradients.

fn quadric_gradient(c: RayQuadric, sum: Slot) -> QuadricGradient {
    // Levers are stored over the mean's distance; sums over pixels of v_N q_i q_j and v_N q_i d_j.
    let distance = length(c.mean);
    let over = -0.5 * distance * distance / (c.size * c.size * c.under);
    let under = LN_2 / c.under;
    let from_over = twice_form_times(
        c.frame, over * sum.lever, over * sum.lever_z, c.axes);
    let from_under = twice_form_times(
        c.frame, under * sum.b, under * sum.b_z, c.axes);

    // 2 sum v_N (Sigma q) x d. As q . d = 0, the zz sum is minus the sum of the other two of the diagonal.
    let sigma2 = c.sigma * c.sigma;
    var v_mean = vec3f(0.0);
    v_mean += cross(
        c.axes * (sigma2 * (c.frame[0] * c.axes)), c.frame * sum.turn_x);
    v_mean += cross(
        c.axes * (sigma2 * (c.frame[1] * c.axes)), c.frame * sum.turn_y);
    v_mean += cross(
        c.axes * (sigma2 * (c.frame[2] * c.axes)), c.frame * vec3f(sum.turn_z, -sum.turn_x.x - sum.turn_y.y));
    return quadric_gradient_of(c, 2.0 * over / distance * v_mean, from_over, from_under);
}
