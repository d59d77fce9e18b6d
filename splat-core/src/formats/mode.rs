//! The render mode of a scene.

/// How a scene was rendered in training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplatRenderMode {
    /// 3DGS: a fixed low-pass filter of 0.3 square pixels.
    #[default]
    Default,
    /// With opacities compensated for the low-pass filter (Mip-Splatting, `antialiased`).
    Mip,
    /// Evaluated along rays, without a low-pass filter (3DGUT).
    #[serde(rename = "3dgut")]
    Gut,
    /// Flat splats (2DGS).
    #[serde(rename = "2dgs")]
    TwoD,
}

impl SplatRenderMode {
    const ALL: [Self; 4] = [Self::Default, Self::Mip, Self::Gut, Self::TwoD];

    /// The mode's name in headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Mip => "mip",
            Self::Gut => "3dgut",
            Self::TwoD => "2dgs",
        }
    }

    /// The mode with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}
