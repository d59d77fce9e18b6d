//! The 18 camera models of current COLMAP: projection, rays and undistortion.

/// A camera model by COLMAP's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LensModel {
    /// One focal length, no distortion.
    SimplePinhole,
    /// Two focal lengths, no distortion.
    Pinhole,
}

/// A camera's lens: model, image size and parameters in COLMAP's order.
#[derive(Clone, Debug, PartialEq)]
pub struct Lens {
    /// Which model.
    pub model: LensModel,
    /// Image width in pixels.
    pub width: u32,
    /// Image height in pixels.
    pub height: u32,
    /// Parameters in COLMAP's order.
    pub params: Vec<f64>,
}
