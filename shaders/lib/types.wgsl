// types: structures and constants that several kernels share.
//
// The host side is splat-core/src/gpu/layout.rs; a test compares offsets and constants. The host puts constants in front
// of this file that depend on the adapter and on what the kernel is compiled for:
//   LANES, TILE_WIDTH, TILE_HEIGHT
//   WITH_DEPTH, WITH_ABS, WITH_POSE  which gradients and statistics are computed
//   SLOT_FLOATS                      floats that one intersection hands from rasterize_backward to project_backward
//   RAY_TABLE                        whether rays come from a table
//   DEPTH_IS_DISTANCE                whether depth is measured from the camera's centre instead of its plane
//   ROLLING                          whether every line of pixels has its own camera pose

// Alphas below this are skipped: invisible in 8-bit colour.
const ALPHA_FLOOR: f32 = 1.0 / 255.0;
// log2 of ALPHA_FLOOR.
const LOG2_ALPHA_FLOOR: f32 = -7.9943534368588579;
// Alphas are capped, so that the transmittance never becomes 0.
const ALPHA_CAP: f32 = 0.99;
// log2 of ALPHA_CAP.
const LOG2_ALPHA_CAP: f32 = -0.014499569695115089;
// A pixel is finished before the Gaussian that would bring its transmittance to this or less.
const TRANSMITTANCE_STOP: f32 = 1e-4;
// Low-pass filter added to 2-D covariances, px^2 (3DGS authors' code, not their paper).
const BLUR_PX2: f32 = 0.3;
const LOG2_E: f32 = 1.4426950408889634;
const LN_2: f32 = 0.6931471805599453;

const TILE_PIXELS: u32 = TILE_WIDTH * TILE_HEIGHT;
const PIXELS_PER_LANE: u32 = TILE_PIXELS / LANES;
struct ViewUniform {
    // Rows of the 3x4 matrix cam_from_world.
    cam_from_world_x: vec4f,
    cam_from_world_y: vec4f,
    cam_from_world_z: vec4f,
    camera_centre: vec4f,
    background: vec4f,
    focal_px: vec2f,
    principal_px: vec2f,
    // Limits of x/z and y/z inside the projection's Jacobian.
    slope_min: vec2f,
    slope_max: vec2f,
    image_size: vec2u,
    tile_grid: vec2u,
    near_world: f32,
    far_world: f32,
    gaussian_count: u32,
    // Stored SH coefficients per channel.
    sh_stride: u32,
    // SH degree in use, at most the stored one.
    sh_degree: u32,
    // Intersections that fit the buffers of one depth slice.
    isect_capacity: u32,
    // 1: opacity is scaled by the blur's loss of mass (Mip-Splatting's 2-D filter).
    antialiased: u32,
    // Order in which a rolling shutter reads lines: 1 if they are columns, 2 more if the last comes first.
    shutter: u32,
}

// A Gaussian's geometry as it is stored, 48 bytes; its gradient and its optimizer's moments have the same form. Members are
// whole vec4f: one 16-byte load each.
struct Gaussian {
    // Mean, world units; w: opacity logit.
    mean_logit: vec4f,
    // Rotation w,x,y,z, of any length.
    quat: vec4f,
    // Logarithms of the standard deviations; w: scale floor (lib/floor.wgsl), without gradient.
    log_scale_floor: vec4f,
}

// Rows of the gradient of cam_from_world.
struct PoseGradient {
    rows: array<vec4f, 3>,
}

fn is_finite(x: f32) -> bool {
    // Bits, not comparisons: a compiler may assume that floats are never NaN.
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

fn is_finite3(v: vec3f) -> bool {
    return is_finite(v.x) && is_finite(v.y) && is_finite(v.z);
}

fn finite_or_zero(x: f32) -> f32 {
    return select(0.0, x, is_finite(x));
}

fn finite_or_zero4(v: vec4f) -> vec4f {
    return vec4f(finite_or_zero(v.x), finite_or_zero(v.y), finite_or_zero(v.z), finite_or_zero(v.w));
}
