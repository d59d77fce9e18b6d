//! Kinds of jobs that clients submit.

use crate::{gesture, scene};

/// What a job makes.
#[derive(Clone, Copy, Debug, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobKind {
    /// A scene of photos.
    Scene,
    /// A gesture, added to a model.
    Gesture,
}

impl JobKind {
    /// The kind as jobs have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Scene => scene::KIND,
            Self::Gesture => gesture::KIND,
        }
    }
}
