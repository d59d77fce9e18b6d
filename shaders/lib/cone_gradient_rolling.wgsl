// cone_gradient (rolling form): the sums of lib/response_rolling.wgsl, where rays have origins of their own, to gradients.

const SLOT_RGB: u32 = 21u;
const SLOT_DEPTH: u32 = 24u;

fn cone_gradient(c: Cone, sum: array<f32, SLOT_FLOATS>) -> ConeGradient {
    // Levers are stored over the mean's distance; sums over pixels of v_N q_i q_j and v_N q_i d_j.
    let distance = length(c.mean);
    let over = -0.5 * distance * distance / (c.size * c.size * c.under);
    let under = LN_2 / c.under;
    let from_over = twice_form_times(
        c.frame, over * vec3f(sum[1], sum[2], sum[3]), over * vec3f(sum[4], sum[5], sum[6]), c.axes);
    let from_under = twice_form_times(
        c.frame, under * vec3f(sum[15], sum[16], sum[17]), under * vec3f(sum[18], sum[19], sum[20]), c.axes);

    // 2 sum v_N (Sigma q) x d. As q . d = 0, the zz sum is what the other two of the diagonal leave.
    let sigma2 = c.sigma * c.sigma;
    var v_mean = vec3f(0.0);
    v_mean += cross(
        c.axes * (sigma2 * (c.frame[0] * c.axes)), c.frame * vec3f(sum[7], sum[8], sum[9]));
    v_mean += cross(
        c.axes * (sigma2 * (c.frame[1] * c.axes)), c.frame * vec3f(sum[10], sum[11], sum[12]));
    v_mean += cross(
        c.axes * (sigma2 * (c.frame[2] * c.axes)), c.frame * vec3f(sum[13], sum[14], -sum[7] - sum[11]));
    return cone_gradient_of(c, 2.0 * over / distance * v_mean, from_over, from_under);
}
