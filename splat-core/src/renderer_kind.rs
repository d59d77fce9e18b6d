//! The two renderers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::formats::SplatRenderMode;

crate::words! {
    /// How Gaussians are projected and evaluated. Sorting, tile lists, blending, loss and optimizer are the same for both.
    ///
    /// [`RendererKind::Ewa`] projects each Gaussian by the first-order expansion of a pinhole's projection (Zwicker et al. 2002).
    /// [`RendererKind::Gut`], 3DGUT, bounds it by the unscented transform: it supports lenses of any model, and is exact where EWA is an
    /// approximation.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
    pub enum RendererKind {
        #[default]
        #[serde(rename = "ewa")]
        Ewa = "ewa", "As flat splats, to first order: what ordinary viewers show (Kerbl et al. 2023)";
        #[serde(rename = "3dgut")]
        Gut = "3dgut", "In 3-D along each pixel's ray (Wu et al. 2025)";
    }
}

/// The renderer and mode that a scene was trained with.
impl From<SplatRenderMode> for RendererKind {
    fn from(mode: SplatRenderMode) -> Self {
        match mode {
            SplatRenderMode::Gut => Self::Gut,
            SplatRenderMode::Default | SplatRenderMode::Mip | SplatRenderMode::TwoD => Self::Ewa,
        }
    }
}

impl SplatRenderMode {
    /// For scenes trained with `renderer`; `antialiased` only applies to EWA.
    #[must_use]
    pub const fn of(renderer: RendererKind, antialiased: bool) -> Self {
        match renderer {
            RendererKind::Gut => Self::Gut,
            RendererKind::Ewa if antialiased => Self::Mip,
            RendererKind::Ewa => Self::Default,
        }
    }
}

impl fmt::Display for RendererKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
