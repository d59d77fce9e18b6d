//! Presets: steps, resolution and COLMAP's effort chosen together.

use std::time::Duration;

/// How much time a scene is worth.
///
/// | preset | steps | longest side | COLMAP |
/// | --- | --- | --- | --- |
/// | `preview` | 500 | 480 px | low |
/// | `standard` | 30,000 | 1,600 px | medium |
/// | `high` | 30,000 | the photos' own | high |
///
/// 30,000 steps are the field's habit; 1,600 px is where the authors' code of 3DGS scales down. `preview` is
/// for judging a capture: a tenth of the pixels of a phone's photo, and steps enough for shapes but not for fine texture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Preset {
    /// Minutes on a CPU: is the capture good, does the scene hold together?
    Preview,
    /// The field's usual settings; minutes on a GPU, hours on a CPU.
    #[default]
    Standard,
    /// Every pixel of the photos.
    High,
}

crate::words! { Preset:
    Preview = "preview", "500 steps, photos at most 480 pixels, COLMAP low: minutes on a CPU";
    Standard = "standard", "30,000 steps, photos at most 1,600 pixels, COLMAP medium: minutes on a GPU, hours on a CPU";
    High = "high", "30,000 steps, photos as large as they are, COLMAP high";
}

impl Preset {
    /// The preset whose image size and COLMAP effort fit a run of so much time. A processor needs half an hour before large photos
    /// pay; a GPU half a minute, most of which goes into finding the cameras.
    #[must_use]
    pub fn for_budget(budget: Duration, software: bool) -> Self {
        let small_until = if software { 30 * 60 } else { 30 };
        if budget < Duration::from_secs(small_until) { Self::Preview } else { Self::Standard }
    }

    /// Training steps.
    #[must_use]
    pub fn steps(self) -> u32 {
        match self {
            Self::Preview => 500,
            Self::Standard | Self::High => 30_000,
        }
    }

    /// COLMAP's effort, by the name that users type: `low`, `medium` or `high`.
    #[must_use]
    pub fn colmap_quality(self) -> &'static str {
        match self {
            Self::Preview => "low",
            Self::Standard => "medium",
            Self::High => "high",
        }
    }

    /// Longest side of a training photo in pixels; `None` leaves photos as they are.
    #[must_use]
    pub fn max_image_size(self) -> Option<u32> {
        match self {
            Self::Preview => Some(480),
            Self::Standard => Some(1_600),
            Self::High => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_presets() {
        for preset in Preset::ALL {
            assert_eq!(Preset::from_name(preset.name()), Some(preset));
            let steps = crate::text::thousands(u64::from(preset.steps()));
            assert!(preset.summary().starts_with(&format!("{steps} steps")), "{}", preset.summary());
            let effort = format!("COLMAP {}", preset.colmap_quality());
            assert!(preset.summary().contains(&effort), "{}", preset.summary());
        }
        assert_eq!(Preset::from_name("ultra"), None);
    }

    #[test]
    fn little_time_means_small_photos_and_less_of_it_on_a_gpu() {
        let on = |software, seconds| Preset::for_budget(Duration::from_secs(seconds), software);
        assert_eq!([10, 29, 30].map(|s| on(false, s)), [Preset::Preview, Preset::Preview, Preset::Standard]);
        assert_eq!(
            [30, 1799, 1800].map(|s| on(true, s)),
            [Preset::Preview, Preset::Preview, Preset::Standard]
        );
    }
}
