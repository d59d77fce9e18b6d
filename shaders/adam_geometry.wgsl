// adam_geometry: one optimizer step of means, opacities, rotations and scales, and the densify statistics.
//
// Threads   one per Gaussian of a chunk (lib/chunk.wgsl)
// Reads     v_geometry [N], v_colors [N vec4f] (w: densify statistic), counters
// Writes    geometry, moment1, moment2 [N]; statistics [N vec2f] (sum of the densify statistic,
//           number of views that saw the Gaussian)
// Equation  Adam; with noise_scale > 0 the random walk of 3DGS-MCMC (Kheradmand et al. 2024, section 3)
// Note      Does nothing after a buffer overflow: the host runs that step again.

@group(0) @binding(0) var<uniform> train: TrainUniform;
@group(0) @binding(1) var<storage, read> counters: Counters;
@group(0) @binding(2) var<storage, read> v_geometry: array<Gaussian>;
@group(0) @binding(3) var<storage, read> v_colors: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> geometry: array<Gaussian>;
@group(0) @binding(5) var<storage, read_write> moment1: array<Gaussian>;
@group(0) @binding(6) var<storage, read_write> moment2: array<Gaussian>;
@group(0) @binding(7) var<storage, read_write> statistics: array<vec2f>;
@group(0) @binding(8) var<uniform> chunk: Chunk;

// Beyond +- this logit an opacity no longer changes in 32 bits.
const LOGIT_LIMIT: f32 = 15.0;
const LOG_SCALE_LIMIT: f32 = 20.0;
const MCMC_OPACITY_SHARPNESS: f32 = 100.0;
const MCMC_DEAD_OPACITY: f32 = 0.005;

// PCG (O'Neill 2014) as a hash: the same number for the same seed, step and Gaussian, on any schedule.
fn hash(x: u32) -> u32 {
    let state = x * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

fn uniform01(bits: u32) -> f32 {
    return (f32(bits >> 8u) + 0.5) / 16777216.0;
}

// Two independent normal numbers (Box and Muller 1958).
fn normal_pair(a: u32, b: u32) -> vec2f {
    let radius = sqrt(-2.0 * log(uniform01(a)));
    let angle = 6.283185307179586 * uniform01(b);
    return radius * vec2f(cos(angle), sin(angle));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= chunk.count || counters.overflowed != 0u) {
        return;
    }
    let mean_logit = geometry[i].mean_logit;
    let log_scale_floor = geometry[i].log_scale_floor;
    let opacity = sigmoid(mean_logit.w);

    var g0 = v_geometry[i].mean_logit;
    g0.w += train.opacity_regularizer * opacity * (1.0 - opacity);
    let g2 = v_geometry[i].log_scale_floor
        + vec4f(train.scale_regularizer * exp(min(log_scale_floor.xyz, vec3f(LOG_SCALE_LIMIT))), 0.0);

    let a0 = adam(train, mean_logit, moment1[i].mean_logit, moment2[i].mean_logit, g0,
        vec4f(vec3f(train.rate_mean), train.rate_opacity));
    let a1 = adam(train, geometry[i].quat, moment1[i].quat, moment2[i].quat, v_geometry[i].quat,
        vec4f(train.rate_quat));
    let a2 = adam(train, log_scale_floor, moment1[i].log_scale_floor, moment2[i].log_scale_floor, g2,
        vec4f(vec3f(train.rate_scale), 0.0));

    var mean = a0.value.xyz;
    if (train.noise_scale > 0.0) {
        let key = hash((chunk.first + i) ^ hash(train.step ^ hash(train.seed)));
        let n01 = normal_pair(hash(key), hash(key + 1u));
        let n2 = normal_pair(hash(key + 2u), hash(key + 3u)).x;
        let rotation = rotation_from_quat(unit_quat(a1.value));
        let scale = exp(a2.value.xyz);
        let eased = 1.0 / (1.0 + exp(MCMC_OPACITY_SHARPNESS * (sigmoid(a0.value.w) - MCMC_DEAD_OPACITY)));
        // Sigma n = R S S R^T n
        let local = (transpose(rotation) * vec3f(n01, n2)) * scale * scale;
        let walk = rotation * local * (eased * train.noise_scale);
        if (is_finite3(walk)) {
            mean += walk;
        }
    }
    geometry[i].mean_logit = vec4f(mean, clamp(a0.value.w, -LOGIT_LIMIT, LOGIT_LIMIT));
    geometry[i].quat = a1.value;
    let log_scale = clamp(a2.value.xyz, vec3f(-LOG_SCALE_LIMIT), vec3f(LOG_SCALE_LIMIT));
    geometry[i].log_scale_floor = vec4f(log_scale, log_scale_floor.w);
    moment1[i].mean_logit = a0.m;
    moment1[i].quat = a1.m;
    moment1[i].log_scale_floor = a2.m;
    moment2[i].mean_logit = a0.v;
    moment2[i].quat = a1.v;
    moment2[i].log_scale_floor = a2.v;

    let statistic = v_colors[i].w;
    if (statistic >= 0.0) {
        statistics[i] += vec2f(statistic, 1.0);
    }
}
