// sh: real spherical harmonics of degree 0 to 3, in the sign and order of the 3DGS authors' code.

const SH_C0: f32 = 0.28209479177387814;
const SH_C1: f32 = 0.48860251190291992;
const SH_C2A: f32 = 1.0925484305920792;
const SH_C2B: f32 = 0.94617469575756008;
const SH_C2C: f32 = 0.31539156525252005;
const SH_C2D: f32 = 0.54627421529603959;
const SH_C3A: f32 = 0.59004358992664352;
const SH_C3B: f32 = 1.4453057213202769;
const SH_C3C: f32 = 2.2852289973223288;
const SH_C3D: f32 = 0.45704579946446572;
const SH_C3E: f32 = 1.8658816629505769;
const SH_C3F: f32 = 1.1195289977703462;

// Basis functions at the unit direction `d`; those above `degree` are zero.
fn sh_basis(d: vec3f, degree: u32) -> array<f32, 16> {
    var b: array<f32, 16>;
    b[0] = SH_C0;
    if (degree >= 1u) {
        b[1] = -SH_C1 * d.y;
        b[2] = SH_C1 * d.z;
        b[3] = -SH_C1 * d.x;
    }
    let c1 = d.x * d.x - d.y * d.y;
    let s1 = 2.0 * d.x * d.y;
    let zz = d.z * d.z;
    if (degree >= 2u) {
        b[4] = SH_C2D * s1;
        b[5] = -SH_C2A * d.z * d.y;
        b[6] = SH_C2B * zz - SH_C2C;
        b[7] = -SH_C2A * d.z * d.x;
        b[8] = SH_C2D * c1;
    }
    if (degree >= 3u) {
        let radial = SH_C3D - SH_C3C * zz;
        b[9] = -SH_C3A * (d.x * s1 + d.y * c1);
        b[10] = SH_C3B * d.z * s1;
        b[11] = radial * d.y;
        b[12] = d.z * (SH_C3E * zz - SH_C3F);
        b[13] = radial * d.x;
        b[14] = SH_C3B * d.z * c1;
        b[15] = -SH_C3A * (d.x * c1 - d.y * s1);
    }
    return b;
}

// The SH degree in use, where an array of coefficients is `stored` long: never more than it could hold.
//
// The bound is for Mesa's software driver as well. Where uniforms alone decide how often a loop runs, that driver compiles the kernel
// with the values of uniforms as constants, and so once more for each new camera, which takes 0.25 s.
fn bounded_degree(degree: u32, stored: u32) -> u32 {
    return min(degree, stored);
}

// Gradient of sum_k w[k] basis_k(d) with respect to d, before d's normalisation.
fn sh_basis_gradient(d: vec3f, degree: u32, w: array<f32, 16>) -> vec3f {
    var v = vec3f(0.0);
    if (degree >= 1u) {
        v += SH_C1 * vec3f(-w[3], -w[1], w[2]);
    }
    let c1 = d.x * d.x - d.y * d.y;
    let s1 = 2.0 * d.x * d.y;
    let zz = d.z * d.z;
    if (degree >= 2u) {
        v += 2.0 * SH_C2D * (w[4] * vec3f(d.y, d.x, 0.0) + w[8] * vec3f(d.x, -d.y, 0.0));
        v += -SH_C2A * (w[5] * vec3f(0.0, d.z, d.y) + w[7] * vec3f(d.z, 0.0, d.x));
        v += vec3f(0.0, 0.0, 2.0 * SH_C2B * d.z * w[6]);
    }
    if (degree >= 3u) {
        let radial = SH_C3D - SH_C3C * zz;
        v += -3.0 * SH_C3A * (w[9] * vec3f(s1, c1, 0.0) + w[15] * vec3f(c1, -s1, 0.0));
        v += SH_C3B * w[10] * vec3f(2.0 * d.y * d.z, 2.0 * d.x * d.z, s1);
        v += SH_C3B * w[14] * vec3f(2.0 * d.x * d.z, -2.0 * d.y * d.z, c1);
        v += w[11] * vec3f(0.0, radial, -2.0 * SH_C3C * d.z * d.y);
        v += w[13] * vec3f(radial, 0.0, -2.0 * SH_C3C * d.z * d.x);
        v += vec3f(0.0, 0.0, w[12] * (3.0 * SH_C3E * zz - SH_C3F));
    }
    return v;
}
