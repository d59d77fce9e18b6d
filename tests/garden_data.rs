//! `reference/garden_ref.npz`: 20,000 Gaussians in 3 views, rendered and differentiated in f64 by
//! another implementation. The README beside it says what each array holds.

use std::collections::BTreeMap;

use glam::{DMat3, DQuat, DVec3};
use splat_core::gaussians::SH_C0;
use splat_core::{Camera, GaussianCloud, Pinhole, Pose};

use crate::npz::{self, Array};
use crate::test_data;

/// What was rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// One colour a Gaussian.
    Rgb,
    /// Degree-3 spherical harmonics.
    Sh,
    /// Like `Rgb`, antialiased.
    Aa,
}

impl Mode {
    pub(crate) const ALL: [Self; 3] = [Self::Rgb, Self::Sh, Self::Aa];

    fn prefix(self) -> &'static str {
        match self {
            Self::Rgb => "rgb",
            Self::Sh => "sh",
            Self::Aa => "aa",
        }
    }

    pub(crate) fn antialiased(self) -> bool {
        self == Self::Aa
    }
}

pub(crate) struct Garden(BTreeMap<String, Array>);

impl Garden {
    pub(crate) fn load() -> Self {
        Self(npz::read(&test_data::shared("reference/garden_ref.npz")))
    }

    pub(crate) fn input(&self, name: &str) -> &Array {
        self.0.get(name).unwrap_or_else(|| panic!("garden_ref.npz has no `{name}`"))
    }

    pub(crate) fn output(&self, mode: Mode, name: &str) -> &Array {
        self.input(&format!("{}.{name}", mode.prefix()))
    }

    pub(crate) fn views(&self) -> usize {
        self.input("viewmats").shape[0]
    }

    pub(crate) fn background(&self, mode: Mode) -> [f64; 3] {
        self.output(mode, "background").rows()[0]
    }

    pub(crate) fn intrinsics(&self, view: usize) -> Pinhole {
        let k = &self.input("Ks").at(view).data;
        let size = |name: &str| self.input(name).data[0] as u32;
        Pinhole { width: size("width"), height: size("height"), fx: k[0], fy: k[4], cx: k[2], cy: k[5] }
    }

    /// `cam_from_world`, row-major 3x4.
    pub(crate) fn cam_from_world(&self, view: usize) -> [f64; 12] {
        self.input("viewmats").at(view).data[..12].try_into().expect("a 4x4 matrix has 12 upper entries")
    }

    pub(crate) fn camera(&self, view: usize) -> Camera {
        let m = self.cam_from_world(view);
        let linear = DMat3::from_cols_array(&[m[0], m[4], m[8], m[1], m[5], m[9], m[2], m[6], m[10]]);
        let rotation = DQuat::from_mat3(&linear).normalize();
        let cam_from_world = Pose { rotation, translation: DVec3::new(m[3], m[7], m[11]) };
        Camera { intrinsics: self.intrinsics(view), cam_from_world }
    }

    /// The Gaussians in stored form, in f32 as the GPU gets them.
    pub(crate) fn cloud(&self, mode: Mode) -> GaussianCloud {
        let sh_coeffs = match mode {
            Mode::Sh => to_f32(self.input("sh").rows()),
            Mode::Rgb | Mode::Aa => to_f32(
                self.input("colors").rows().into_iter().map(|c: [f64; 3]| c.map(dc_of_colour)).collect(),
            ),
        };
        GaussianCloud {
            means: to_f32(self.input("means").rows()),
            quats: to_f32(self.input("quats").rows()),
            log_scales: to_f32(
                self.input("scales").rows().into_iter().map(|s: [f64; 3]| s.map(f64::ln)).collect(),
            ),
            opacity_logits: self
                .input("opacities")
                .data
                .iter()
                .map(|o| (o / (1.0 - o)).ln() as f32)
                .collect(),
            sh_coeffs,
            sh_degree: if mode == Mode::Sh { 3 } else { 0 },
        }
    }
}

/// The constant coefficient that shows a colour from everywhere.
///
/// A colour of exactly 0 lies on the kink of `max(SH + 0.5, 0)`; the reference of the modes with plain
/// colours has no such clamp, hence a gradient there. It is moved inside by more than f32 rounds.
pub(crate) fn dc_of_colour(colour: f64) -> f64 {
    const INSIDE: f64 = 2e-7;
    (colour.max(INSIDE) - 0.5) / f64::from(SH_C0)
}

fn to_f32<const W: usize>(rows: Vec<[f64; W]>) -> Vec<[f32; W]> {
    rows.into_iter().map(|row| row.map(|value| value as f32)).collect()
}

/// `|ours - theirs| / |theirs|`, Euclidean. Asserts that there is something to compare.
pub(crate) fn relative_l2(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len(), "different sizes");
    let norm = theirs.iter().map(|t| t * t).sum::<f64>().sqrt();
    assert!(norm > 0.0, "nothing to compare with");
    ours.iter().zip(theirs).map(|(o, t)| (o - t).powi(2)).sum::<f64>().sqrt() / norm
}
