//! How a scene wants to be drawn.

/// How a scene was trained to be drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplatRenderMode {
    /// Plain 3DGS: a fixed low-pass of 0.3 square pixels.
    #[default]
    Default,
    /// With the low-pass compensated in the opacity (Mip-Splatting, `antialiased`).
    Mip,
    /// Evaluated along rays, without a low-pass (3DGUT).
    #[serde(rename = "3dgut")]
    Gut,
    /// Flat splats (2DGS).
    #[serde(rename = "2dgs")]
    TwoD,
}

impl SplatRenderMode {
    const ALL: [Self; 4] = [Self::Default, Self::Mip, Self::Gut, Self::TwoD];

    /// The name in headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Mip => "mip",
            Self::Gut => "3dgut",
            Self::TwoD => "2dgs",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}
