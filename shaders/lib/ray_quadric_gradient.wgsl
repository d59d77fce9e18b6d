// ray_quadric_gradient: from the gradient of the two quadratic forms of lib/ray_quadric.wgsl to that of the Gaussian's parameters.

// Columns 2 F d, for the symmetric form F = sum_ij weights_ij u_i u_j^T of the vectors u (columns of `frame`) and each
// column d of `axes`; (xx, xy, yy), (xz, yz, zz).
fn twice_form_times(frame: mat3x3f, plane: vec3f, along: vec3f, axes: mat3x3f) -> mat3x3f {
    let symmetric = mat3x3f(
        vec3f(plane.x, plane.y, along.x),
        vec3f(plane.y, plane.z, along.y),
        along,
    );
    return frame * (symmetric * (transpose(frame) * axes)) * 2.0;
}

struct QuadricGradient {
    // Of the mean and of the Gaussian's axes, in camera space.
    mean: vec3f,
    axes: mat3x3f,
    log_scale: vec3f,
}

// From 2 v_Sigma R and 2 v_adj R, in units where Sigma is R diag(sigma^2) R^T and adj R diag(cofactor^2) R^T.
fn quadric_gradient_of(c: RayQuadric, v_mean: vec3f, from_over: mat3x3f, from_under: mat3x3f) -> QuadricGradient {
    let sigma2 = c.sigma * c.sigma;
    let cofactor2 = c.cofactor * c.cofactor;
    let v_axes = mat3x3f(
        from_over[0] * sigma2.x + from_under[0] * cofactor2.x,
        from_over[1] * sigma2.y + from_under[1] * cofactor2.y,
        from_over[2] * sigma2.z + from_under[2] * cofactor2.z,
    );
    // By log sigma_i: 2 sigma_i^2 r_i^T v_Sigma r_i, and of the cofactors those two that sigma_i is part of.
    let by_sigma = sigma2 * vec3f(dot(from_over[0], c.axes[0]), dot(from_over[1], c.axes[1]), dot(from_over[2], c.axes[2]));
    let by_cofactor =
        cofactor2 * vec3f(dot(from_under[0], c.axes[0]), dot(from_under[1], c.axes[1]), dot(from_under[2], c.axes[2]));
    return QuadricGradient(v_mean, v_axes, by_sigma + by_cofactor.yzx + by_cofactor.zxy);
}
