//! The camera models by COLMAP's name, number and parameter count.

use std::fmt;

/// A camera model of COLMAP 4.x. Models 0 to 10 are also COLMAP 3.8's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LensModel {
    /// `f, cx, cy`: no distortion.
    SimplePinhole,
    /// `fx, fy, cx, cy`: no distortion.
    Pinhole,
    /// `f, cx, cy, k`.
    SimpleRadial,
    /// `f, cx, cy, k1, k2`.
    Radial,
    /// `fx, fy, cx, cy, k1, k2, p1, p2`: Brown's radial and tangential distortion.
    OpenCv,
    /// `fx, fy, cx, cy, k1, k2, k3, k4`: a polynomial of the angle from the axis.
    OpenCvFisheye,
    /// `fx, fy, cx, cy, k1, k2, p1, p2, k3, k4, k5, k6`: rational radial distortion.
    FullOpenCv,
    /// `fx, fy, cx, cy, omega`: Devernay and Faugeras 2001.
    Fov,
    /// `f, cx, cy, k`: a polynomial of the angle from the axis.
    SimpleRadialFisheye,
    /// `f, cx, cy, k1, k2`: a polynomial of the angle from the axis.
    RadialFisheye,
    /// `fx, fy, cx, cy, k1, k2, p1, p2, k3, k4, sx1, sy1`.
    ThinPrismFisheye,
    /// `fx, fy, cx, cy, k0..k5, p0, p1, s0..s3`: Project Aria's model.
    RadTanThinPrismFisheye,
    /// `f, cx, cy, k`: Fitzgibbon's division model.
    SimpleDivision,
    /// `fx, fy, cx, cy, k`: Fitzgibbon's division model.
    Division,
    /// `f, cx, cy`: equidistant.
    SimpleFisheye,
    /// `fx, fy, cx, cy`: equidistant.
    Fisheye,
    /// `fx, fy, cx, cy, alpha, beta`: the enhanced unified model (Khomutenko et al. 2016).
    Eucm,
    /// `width, height`: a full sphere by longitude and latitude.
    Equirectangular,
}

impl LensModel {
    /// All models in the order of COLMAP's numbers.
    pub const ALL: [Self; 18] = [
        Self::SimplePinhole,
        Self::Pinhole,
        Self::SimpleRadial,
        Self::Radial,
        Self::OpenCv,
        Self::OpenCvFisheye,
        Self::FullOpenCv,
        Self::Fov,
        Self::SimpleRadialFisheye,
        Self::RadialFisheye,
        Self::ThinPrismFisheye,
        Self::RadTanThinPrismFisheye,
        Self::SimpleDivision,
        Self::Division,
        Self::SimpleFisheye,
        Self::Fisheye,
        Self::Eucm,
        Self::Equirectangular,
    ];

    /// COLMAP's name, as in `cameras.txt`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SimplePinhole => "SIMPLE_PINHOLE",
            Self::Pinhole => "PINHOLE",
            Self::SimpleRadial => "SIMPLE_RADIAL",
            Self::Radial => "RADIAL",
            Self::OpenCv => "OPENCV",
            Self::OpenCvFisheye => "OPENCV_FISHEYE",
            Self::FullOpenCv => "FULL_OPENCV",
            Self::Fov => "FOV",
            Self::SimpleRadialFisheye => "SIMPLE_RADIAL_FISHEYE",
            Self::RadialFisheye => "RADIAL_FISHEYE",
            Self::ThinPrismFisheye => "THIN_PRISM_FISHEYE",
            Self::RadTanThinPrismFisheye => "RAD_TAN_THIN_PRISM_FISHEYE",
            Self::SimpleDivision => "SIMPLE_DIVISION",
            Self::Division => "DIVISION",
            Self::SimpleFisheye => "SIMPLE_FISHEYE",
            Self::Fisheye => "FISHEYE",
            Self::Eucm => "EUCM",
            Self::Equirectangular => "EQUIRECTANGULAR",
        }
    }

    /// COLMAP's number, as in `cameras.bin`.
    #[must_use]
    pub const fn colmap_id(self) -> i32 {
        self as i32
    }

    /// How many parameters the model has.
    #[must_use]
    pub const fn num_params(self) -> usize {
        match self {
            Self::Equirectangular => 2,
            Self::SimplePinhole | Self::SimpleFisheye => 3,
            Self::Pinhole | Self::Fisheye | Self::SimpleRadial => 4,
            Self::SimpleRadialFisheye | Self::SimpleDivision => 4,
            Self::Radial | Self::RadialFisheye | Self::Fov | Self::Division => 5,
            Self::Eucm => 6,
            Self::OpenCv | Self::OpenCvFisheye => 8,
            Self::FullOpenCv | Self::ThinPrismFisheye => 12,
            Self::RadTanThinPrismFisheye => 16,
        }
    }

    /// The model of that name (COLMAP's spelling).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|model| model.name() == name)
    }

    /// The model of that number.
    #[must_use]
    pub fn from_colmap_id(id: i32) -> Option<Self> {
        Self::ALL.get(usize::try_from(id).ok()?).copied()
    }

    /// Whether one focal length serves both axes.
    #[must_use]
    pub const fn has_one_focal_length(self) -> bool {
        self.two_focal_twin().is_some()
    }

    /// The model with two focal lengths that holds every lens of this one-focal model.
    pub(crate) const fn two_focal_twin(self) -> Option<Self> {
        match self {
            Self::SimplePinhole => Some(Self::Pinhole),
            Self::SimpleRadial | Self::Radial => Some(Self::OpenCv),
            Self::SimpleRadialFisheye | Self::RadialFisheye => Some(Self::OpenCvFisheye),
            Self::SimpleDivision => Some(Self::Division),
            Self::SimpleFisheye => Some(Self::Fisheye),
            _ => None,
        }
    }

    /// Whether the model is a pinhole camera when its distortion parameters are zero.
    pub(crate) const fn is_pinhole_when_undistorted(self) -> bool {
        matches!(
            self,
            Self::SimplePinhole
                | Self::Pinhole
                | Self::SimpleRadial
                | Self::Radial
                | Self::OpenCv
                | Self::FullOpenCv
                | Self::Fov
                | Self::SimpleDivision
                | Self::Division
        )
    }
}

impl fmt::Display for LensModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
