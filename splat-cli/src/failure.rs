//! Error messages (`error:`, `caused by:`, `hint:`) and exit codes.

use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use splat_colmap::ColmapError;
use splat_core::Content;
use splat_core::images::has_photo_extension;
use splat_gesture::GestureError;
use splat_server::service::ServiceError;
use splat_server::settings::SettingsError;

/// The failure of a command.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// An error of the library.
    #[error(transparent)]
    Core(#[from] splat_core::Error),
    /// An error of COLMAP or of its files.
    #[error(transparent)]
    Colmap(#[from] ColmapError),
    /// An error of gesture models.
    #[error(transparent)]
    Gesture(#[from] GestureError),
    /// A file of landmarks that cannot be used.
    #[error("`{}` cannot be used", path.display())]
    Landmarks { path: PathBuf, source: GestureError },
    /// A gesture was rejected by the quality gate.
    #[error("{}not published: {reasons}", gesture.as_ref().map(|name| format!("`{name}` is ")).unwrap_or_default())]
    GestureRefused { gesture: Option<String>, reasons: String, advice: String },
    /// An error of the service.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The service's settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The given path is not usable.
    #[error("`{}` {what}", path.display())]
    Input { path: PathBuf, what: String, hint: &'static str },
    /// A file where a folder of photos or a dataset is needed.
    #[error(
        "`{}` is {}, and a folder is needed",
        path.display(),
        content.map_or_else(|| "a file".to_owned(), |content| content.to_string())
    )]
    NotAFolder { path: PathBuf, content: Option<Content> },
    /// Conflicting options, or an invalid value.
    #[error("{what}")]
    Usage { what: String, hint: &'static str },
    /// There is no camera of that name.
    #[error("there is no training camera `{name}`{nearest}")]
    NoSuchView { name: String, nearest: String },
    /// ffmpeg is missing or failed.
    #[error("cannot write the video `{}`: {what}", path.display())]
    Video { path: PathBuf, what: String, hint: &'static str },
    /// `splat doctor` found a problem that prevents training.
    #[error("this machine is not ready: {what}")]
    NotReady { what: String },
    /// The user pressed Ctrl-C; what was finished is kept.
    #[error("stopped before the end, as asked")]
    Stopped { hint: Option<String> },
}

impl Failure {
    /// 1 the input failed or the run was stopped, 2 wrong usage or setup.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Service(_)
            | Self::Settings(_)
            | Self::Usage { .. }
            | Self::NotReady { .. }
            | Self::Video { .. } => 2,
            Self::Core(error) => core_exit_code(error),
            Self::Colmap(error) => colmap_exit_code(error),
            Self::Input { .. }
            | Self::NotAFolder { .. }
            | Self::NoSuchView { .. }
            | Self::Stopped { .. }
            | Self::Gesture(_)
            | Self::Landmarks { .. }
            | Self::GestureRefused { .. } => 1,
        }
    }

    /// A hint, unless the message contains it already.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Core(error) => core_hint(error),
            Self::Colmap(error) => colmap_hint(error),
            Self::Input { hint, .. } | Self::Usage { hint, .. } | Self::Video { hint, .. } => {
                Some((*hint).to_owned())
            }
            Self::NotAFolder { path, content } => Some(folder_hint(path, *content)),
            Self::NoSuchView { .. } => Some("`--list` prints all of them".into()),
            Self::Service(error) => error.hint().map(str::to_owned),
            Self::Settings(_) => Some("`splat serve --help` lists all settings".into()),
            Self::GestureRefused { advice, .. } => Some(advice.clone()).filter(|advice| !advice.is_empty()),
            Self::NotReady { .. } | Self::Gesture(_) | Self::Landmarks { .. } => None,
            Self::Stopped { hint } => hint.clone(),
        }
    }

    /// The causes, outermost first.
    pub(crate) fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = StdError::source(self);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes
    }

    /// The whole message for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("error: {self}");
        for cause in self.causes() {
            text.push_str(&format!("\n  caused by: {cause}"));
        }
        if let Some(hint) = self.hint() {
            text.push_str(&format!("\n\nhint: {hint}"));
        }
        text
    }
}

impl From<splat_server::keys::KeyError> for Failure {
    fn from(error: splat_server::keys::KeyError) -> Self {
        Self::Service(error.into())
    }
}

impl From<splat_server::queue::QueueError> for Failure {
    fn from(error: splat_server::queue::QueueError) -> Self {
        Self::Service(error.into())
    }
}

/// The COLMAP error inside an error of the library, if there is one.
fn as_colmap(error: &splat_core::Error) -> Option<&ColmapError> {
    match error {
        splat_core::Error::Source(source) => source.downcast_ref(),
        _ => None,
    }
}

fn core_exit_code(error: &splat_core::Error) -> u8 {
    use splat_core::Error;
    match error {
        Error::NoAdapter { .. } | Error::WrongResult { .. } => 2,
        _ => as_colmap(error).map_or(1, colmap_exit_code),
    }
}

fn core_hint(error: &splat_core::Error) -> Option<String> {
    use splat_core::Error;
    let hint = match error {
        Error::NoAdapter { .. } => "`splat doctor` says what is missing",
        Error::WrongResult { .. } => "`splat doctor` lists the adapters of this machine",
        Error::DeviceLost { .. } => "add `--resume` to the same command to go on from the last checkpoint",
        Error::Cancelled => "finished work is kept; the same command goes on where it can",
        _ => return as_colmap(error).and_then(colmap_hint),
    };
    Some(hint.to_owned())
}

fn colmap_exit_code(error: &ColmapError) -> u8 {
    match error {
        ColmapError::CannotStart { .. }
        | ColmapError::NotColmap { .. }
        | ColmapError::Hangs { .. }
        | ColmapError::TooOld { .. }
        | ColmapError::NoCommand { .. } => 2,
        _ => 1,
    }
}

/// Advice that contains this file's name.
pub(crate) fn named(advice: &str, path: &Path) -> String {
    let file = format!("\"{}\"", path.display());
    advice.replace("VIDEO", &file).replace("FILE", &file)
}

/// How to get the required folder from a file.
fn folder_hint(path: &Path, content: Option<Content>) -> String {
    match content.and_then(Content::advice) {
        Some(advice) => named(advice, path),
        None => "give the folder that holds the photos or the dataset".into(),
    }
}

/// Whether there are photos in a folder, or in its direct subfolders.
fn holds_photos(dir: &Path) -> bool {
    let files = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all = files(dir).chain(files(dir).filter(|path| path.is_dir()).flat_map(|inner| files(&inner)));
    all.any(|path| has_photo_extension(&path))
}

fn colmap_hint(error: &ColmapError) -> Option<String> {
    let hint = match error {
        ColmapError::NoModel { dir } => {
            let run = format!("`splat run \"{}\" -o OUT`", dir.display());
            return match (splat_colmap::foreign::poses(dir), holds_photos(dir)) {
                (Some(poses), true) => Some(format!("{poses}; or {run} finds poses anew")),
                (Some(poses), false) => Some(poses),
                (None, true) => {
                    Some(format!("for photos without camera poses, {run} finds these first and trains then"))
                }
                (None, false) => None,
            };
        }
        ColmapError::CannotStart { .. } => {
            "name the program with `--colmap FILE` or SPLAT_COLMAP; `splat doctor` checks the whole machine"
        }
        ColmapError::NotColmap { .. } | ColmapError::TooOld { .. } => {
            "name another program with `--colmap FILE` or SPLAT_COLMAP"
        }
        ColmapError::TimedOut { .. } | ColmapError::MatchingTimedOut { .. } => {
            "raise `--colmap-timeout`, or lower `--quality`"
        }
        ColmapError::StageFailed { exited: false, .. } => {
            "it crashed or ran out of memory; try `--quality low`, or another COLMAP with `--colmap FILE`"
        }
        ColmapError::Database { .. } => {
            "`--redo-colmap` makes it anew; `--matcher-engine colmap` leaves comparing to COLMAP"
        }
        ColmapError::NoReconstruction { .. } => "`--matcher exhaustive` and `--quality high` look harder",
        _ => return None,
    };
    Some(hint.to_owned())
}
