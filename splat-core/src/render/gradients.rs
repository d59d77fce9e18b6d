//! Gradients of a loss: with respect to an image, to the Gaussians' parameters, and to the camera's pose.

/// Gradient of a loss with respect to a [`FrameImage`](super::FrameImage).
#[derive(Clone, Copy, Debug, Default)]
pub struct FrameGradient<'a> {
    /// With respect to the colours, `[H*W*3]`.
    pub v_rgb: &'a [f32],
    /// With respect to alpha, `[H*W]`.
    pub v_alpha: Option<&'a [f32]>,
    /// With respect to the expected depth, `[H*W]`.
    pub v_depth: Option<&'a [f32]>,
}

/// Gradient of a loss with respect to the stored parameters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GaussianGradients {
    /// Means, `[N,3]`.
    pub means: Vec<[f32; 3]>,
    /// Rotations, `[N,4]` w,x,y,z, with respect to the stored quaternion of any length.
    pub quats: Vec<[f32; 4]>,
    /// Log-scales, `[N,3]`.
    pub log_scales: Vec<[f32; 3]>,
    /// Opacity logits, `[N]`.
    pub opacity_logits: Vec<f32>,
    /// Spherical harmonics, `[N,K,3]`.
    pub sh_coeffs: Vec<[f32; 3]>,
    /// Row-major 3x4 entries of `cam_from_world`, as independent variables; the camera centre is `-R^T t`. Zero with a rolling
    /// shutter: see [`GaussianGradients::shutter`].
    pub cam_from_world: [f64; 12],
    /// With a rolling shutter: gradient with respect to its two poses, with six degrees of freedom each.
    pub shutter: Option<ShutterGradients>,
}

/// Gradient of a loss with respect to the two poses of a rolling shutter: three rotations about the camera's axes (radians), then
/// three translations along them (world units). A motion `(w, v)` maps a pose `(R, t)` to `(exp(w) R, t + v)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShutterGradients {
    /// With respect to the pose at which the first line is read.
    pub start: [f64; 6],
    /// With respect to the pose at which the last line is read.
    pub end: [f64; 6],
}
