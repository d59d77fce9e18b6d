//! Which photos have a pose after structure-from-motion, and why others do not.

use std::fmt;

/// Photos of a run with and without a pose. Files that are not usable photos are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Placement {
    /// Total number of photos.
    pub photos: u64,
    /// Photos that have a pose in the model that is used.
    pub placed: u64,
    /// Photos without a pose, sorted by name.
    pub left_out: Vec<LeftOut>,
    /// Models of other photos, which do not connect with the one that is used; largest first.
    #[serde(default)]
    pub other_models: Vec<OtherModel>,
    /// Result of the second try of the photos that were left out, if there was one.
    #[serde(default)]
    pub second_try: Option<SecondTry>,
}

/// A photo without a pose.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct LeftOut {
    /// Its name.
    pub name: String,
    /// Why.
    #[serde(flatten)]
    pub reason: LeftOutReason,
}

/// Why a photo has no pose, as far as structure-from-motion's results show.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeftOutReason {
    /// It has too few features.
    TooFewFeatures {
        /// Features found in it.
        features: u64,
    },
    /// It matches no other photo.
    NoVerifiedPair {
        /// Features found in it.
        features: u64,
    },
    /// It is in another model.
    OtherModel {
        /// The model's number.
        model: u32,
    },
    /// It matches only photos without a pose.
    OnlyWithLeftOut {
        /// Number of its pairs.
        pairs: u64,
    },
    /// It matches photos with a pose, but too few of its matched features have a 3-D point.
    TooFewPoints {
        /// Number of its pairs with posed photos.
        pairs: u64,
    },
    /// The data that would show the reason is missing.
    Unknown,
}

/// A model that is not used.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OtherModel {
    /// Its number, which names its folder.
    pub model: u32,
    /// Photos that have a pose in it.
    pub photos: u64,
}

/// Photos that were left out, tried once more with more features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SecondTry {
    /// Photos tried.
    pub photos: u64,
    /// How many of these are placed now.
    pub placed: u64,
    /// Duration in seconds; 0 if unknown.
    pub elapsed_s: u64,
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let photos = |n: &u64| if *n == 1 { "1 photo".to_owned() } else { format!("{n} photos") };
        match self {
            Self::TooFewFeatures { features } => write!(
                f,
                "only {features} features were found in it: it is blurred, dark, or shows plain surfaces"
            ),
            Self::NoVerifiedPair { features } => {
                write!(f, "none of its {features} features could be found again in another photo")
            }
            Self::OtherModel { model } => {
                write!(f, "it belongs to another group of photos (model {model}), which does not connect")
            }
            Self::OnlyWithLeftOut { pairs } => {
                write!(f, "it shares things only with {} left out as well", photos(pairs))
            }
            Self::TooFewPoints { pairs } => {
                write!(
                    f,
                    "it shares too little with the {} it matches",
                    match pairs {
                        1 => "placed photo".to_owned(),
                        n => format!("{n} placed photos"),
                    }
                )
            }
            Self::Unknown => write!(f, "no reason is known"),
        }
    }
}

impl Placement {
    /// Maximum number of photos named in a sentence.
    const NAMES_SHOWN: usize = 10;

    /// A summary of the photos left out; `None` if there are none.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let named: Vec<String> = (self.left_out.iter().take(Self::NAMES_SHOWN))
            .map(|photo| format!("`{}` ({})", photo.name, photo.reason))
            .collect();
        let more = self.left_out.len().saturating_sub(named.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!named.is_empty()).then(|| {
            format!(
                "{} of {} photos are not in the scene: {}{more}",
                self.left_out.len(),
                self.photos,
                named.join(", ")
            )
        })
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} photos placed", self.placed, self.photos)?;
        if let Some(SecondTry { photos, placed, .. }) = self.second_try {
            write!(f, ", {placed} of {photos} by a second try")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_photo_left_out_is_named_up_to_ten() {
        let photo = |i: u64| LeftOut {
            name: format!("{i:02}.jpg"),
            reason: LeftOutReason::TooFewPoints { pairs: i },
        };
        let mut placement =
            Placement { photos: 20, placed: 18, left_out: vec![photo(1), photo(2)], ..Placement::default() };
        assert_eq!(
            placement.warning().as_deref(),
            Some(
                "2 of 20 photos are not in the scene: `01.jpg` (it shares too little with the placed photo it matches), \
                 `02.jpg` (it shares too little with the 2 placed photos it matches)"
            )
        );
        placement.left_out = (0..12).map(photo).collect();
        assert!(
            placement
                .warning()
                .is_some_and(|text| text.contains("`09.jpg`") && text.ends_with(" and 2 more"))
        );
        placement.left_out.clear();
        assert_eq!(placement.warning(), None);
    }

    #[test]
    fn a_reason_is_a_word_with_figures() {
        let reason = LeftOutReason::OtherModel { model: 1 };
        let json = serde_json::to_value(LeftOut { name: "a.jpg".into(), reason }).unwrap_or_default();
        assert_eq!(json, serde_json::json!({ "name": "a.jpg", "reason": "other_model", "model": 1 }));
    }
}
