//! Errors, refusals and remarks for programs: a code, and the values of its sentence. With them a client can say in another language
//! what `Display` and the report say in English.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::GestureError;
use crate::limits;
use crate::recording::Recording;

/// Why something was rejected, or what to know about a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// One of [`Reason::codes`].
    pub code: String,
    /// The values, by name. Shares are in percent.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
}

impl Reason {
    pub(crate) fn new<const N: usize>(code: &str, params: [(&str, Value); N]) -> Self {
        let params = params.map(|(name, value)| (name.to_owned(), value));
        Self { code: code.to_owned(), params: params.into_iter().collect() }
    }

    /// Some frames of a recording were left out because they show no hand; `None` if none were.
    #[must_use]
    pub fn of_left_out(recording: &Recording) -> Option<Self> {
        let left_out = recording.left_out_frames();
        let frames = recording.frames().len() + left_out;
        (left_out > 0)
            .then(|| Self::new(FRAMES_LEFT_OUT, [("left_out", json!(left_out)), ("frames", json!(frames))]))
    }
}

/// A share as whole percents.
pub(crate) fn percent(share: f64) -> Value {
    json!((100.0 * share).round() as i64)
}

/// The codes of reports, and of remarks.
macro_rules! reports {
    ($($name:ident = $code:literal;)*) => {
        $(pub(crate) const $name: &str = $code;)*
        const REPORTS: &[&str] = &[$($code),*];
    };
}

reports! {
    NEW_RECALL_LOW = "new_recall_low";
    ACCURACY_LOW = "accuracy_low";
    OLD_ACCURACY_LOW = "old_accuracy_low";
    OLD_RECALL_FALLS = "old_recall_falls";
    LOOK_ALIKE = "look_alike";
    TOLD_BY_ANGLE = "told_by_angle";
    FRAMES_LEFT_OUT = "frames_left_out";
}

/// The codes of errors, each with the fields and limits that its sentence holds.
macro_rules! errors {
    ($($kind:ident { $($field:ident),* } $(($($limit:ident = $value:expr),*))? = $code:literal;)*) => {
        const ERRORS: &[&str] = &[$($code),*];

        impl From<&GestureError> for Reason {
            fn from(error: &GestureError) -> Self {
                match error {
                    $(GestureError::$kind { $($field,)* .. } => Self::new(
                        $code,
                        [$((stringify!($field), json!($field)),)* $($((stringify!($limit), json!($value))),*)?],
                    ),)*
                }
            }
        }
    };
}

errors! {
    FrameLength { frame, found } (values = limits::FRAME_VALUES) = "frame_length";
    NotFinite { frame, position } = "not_finite";
    OutOfRange { frame, value, low, high, layout } = "out_of_range";
    Handedness { frame, value } = "handedness";
    NoHand { frame, size, low, high } = "no_hand";
    TooFewFrames { found } (least = limits::MIN_FRAMES, most = limits::MAX_FRAMES) = "too_few_frames";
    TooManyFrames { found } (least = limits::MIN_FRAMES, most = limits::MAX_FRAMES) = "too_many_frames";
    Frozen { distinct, frames } (least = limits::MIN_DISTINCT_FRAMES) = "frozen";
    Noise {} = "noise";
    TwoGestures { frame } = "two_gestures";
    NameLength { found } (most = limits::MAX_NAME_CHARS) = "name_length";
    NameCharacter { character } = "name_character";
    NameBlank {} = "name_blank";
    NameNone {} = "name_none";
    NameTaken { name } = "name_taken";
    NoSuchGesture { name } = "no_such_gesture";
    ModelFull {} (most = limits::MAX_GESTURES) = "model_full";
    TooFewGestures { found } (least = limits::MIN_GESTURES) = "too_few_gestures";
    LayoutMismatch { expected, found } = "layout_mismatch";
    Unreadable { line } = "unreadable_landmarks";
    Malformed { offset } = "malformed_model";
    TooNew { found, known } = "model_too_new";
    Cancelled {} = "cancelled";
    Read {} = "cannot_read";
    Write {} = "cannot_write";
}

impl Reason {
    /// All codes, none twice: first of errors, then of reports.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        ERRORS.iter().chain(REPORTS).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_words_and_none_is_there_twice() {
        let codes: Vec<_> = Reason::codes().collect();
        let distinct: std::collections::BTreeSet<_> = codes.iter().collect();
        assert_eq!(distinct.len(), codes.len(), "{codes:?}");
        for code in codes {
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        }
    }

    #[test]
    fn an_error_gives_the_values_of_its_sentence() {
        let error = GestureError::TooFewFrames { found: 39 };
        let reason = Reason::from(&error);
        assert_eq!(reason.code, "too_few_frames");
        assert_eq!(json!(reason.params), json!({ "found": 39, "least": 40, "most": 600 }));
        let blank = Reason::from(&GestureError::NameBlank);
        assert_eq!(json!(blank), json!({ "code": "name_blank" }));
    }
}
