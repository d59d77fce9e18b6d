// sh_step: one Adam step of one stored coefficient. The kernel declares `train`, `sh`, `moment1` and `moment2`.

fn step_coefficient(i: u32, k: u32, gradient: f32) {
    let m = train.beta1 * moment1[i] + (1.0 - train.beta1) * gradient;
    let v = train.beta2 * moment2[i] + (1.0 - train.beta2) * gradient * gradient;
    let rate = select(train.rate_sh_rest, train.rate_sh_constant, k == 0u);
    moment1[i] = m;
    moment2[i] = v;
    sh[i] -= rate * (m / train.correction1) / (sqrt(v) / train.correction2_sqrt + train.epsilon);
}
