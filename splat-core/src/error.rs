//! What can go wrong, in sentences for the caller.

use std::path::PathBuf;

/// Why an operation of this crate did not succeed.
///
/// `Display` says what happened and what to try; the cause is in `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write `{}`: {hint}", path.display())]
    Write {
        /// What was to be written.
        path: PathBuf,
        /// What to try.
        hint: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Another process works in an output folder.
    #[error(
        "`{}` is in use by {holder}; wait until that run ends, stop it, or choose another output folder",
        path.display()
    )]
    Busy {
        /// The output folder.
        path: PathBuf,
        /// Which process has it.
        holder: String,
    },
    /// A file is not what its format requires.
    #[error("`{}` is not a valid {format}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The format expected.
        format: &'static str,
        /// What is wrong, and where.
        what: String,
    },
    /// No usable GPU driver, software or hardware.
    #[error("no GPU to compute on: {why}; {}", crate::machine::INSTALL_GPU_DRIVER)]
    NoAdapter {
        /// What was looked for and found.
        why: String,
    },
    /// The device stopped answering; the last checkpoint is still good.
    #[error(
        "the GPU stopped answering ({why}); resume from the last checkpoint, and update the driver if it happens again"
    )]
    DeviceLost {
        /// The driver's words.
        why: String,
    },
    /// The device has no memory left.
    #[error("the GPU ran out of memory ({why}); lower the cap on Gaussians or the image size")]
    OutOfGpuMemory {
        /// The driver's words.
        why: String,
    },
    /// One buffer would outgrow what this device allows in a binding, or as a whole where it is bound in parts.
    #[error(
        "`{what}` would need {bytes} bytes and this GPU allows {limit} at most; lower the cap on Gaussians or the image size"
    )]
    BindingTooLarge {
        /// Label of the buffer.
        what: &'static str,
        /// Bytes needed.
        bytes: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The driver refused something that ought to work.
    #[error("the GPU driver refused a command ({why}); this is a bug here or in the driver")]
    Gpu {
        /// The driver's words.
        why: String,
    },
    /// The driver computes something wrongly.
    #[error(
        "this GPU driver computes wrongly: {stage} fails its self-test ({how}); update the driver, or choose another adapter with SPLAT_ADAPTER or SPLAT_BACKEND"
    )]
    WrongResult {
        /// What was computed.
        stage: &'static str,
        /// How far off.
        how: String,
    },
    /// A training setting that cannot work.
    #[error("unusable training settings: {why}")]
    Config {
        /// Which, and what would do.
        why: String,
    },
    /// A dataset that cannot be trained on.
    #[error("unusable scene: {why}")]
    Scene {
        /// What is missing or does not fit, and what to try.
        why: String,
    },
    /// A cloud's parts do not fit together.
    #[error("these Gaussians cannot be used: {why}")]
    Cloud {
        /// What does not fit.
        why: String,
    },
    /// An image or its gradient has a size that cannot be used.
    #[error("unusable image size: {why}")]
    ImageSize {
        /// Which, and what would do.
        why: String,
    },
    /// A camera path made in code has no frames to give.
    #[error("the camera path cannot be flown: {what}")]
    InvalidPath {
        /// What is wrong.
        what: String,
    },
    /// A view of a scene cannot be used.
    #[error("view `{name}` of the scene cannot be used")]
    View {
        /// The view's name.
        name: String,
        /// What is wrong with its photo, mask or lens.
        source: Box<Error>,
    },
    /// A photo's file cannot be used.
    #[error("cannot use photo `{}`: {what}", path.display())]
    BadPhoto {
        /// The file.
        path: PathBuf,
        /// What it is or what is wrong, and what to try.
        what: String,
    },
    /// A photo's header claims more pixels than are decoded.
    #[error(
        "cannot use photo `{}`: its header says {width}x{height} pixels ({} megapixels), above the limit of {}; scale it down first",
        path.display(),
        u64::from(*width) * u64::from(*height) / 1_000_000,
        limit / 1_000_000
    )]
    PhotoTooLarge {
        /// The file.
        path: PathBuf,
        /// Claimed width in pixels.
        width: u32,
        /// Claimed height in pixels.
        height: u32,
        /// Pixels that are decoded at most.
        limit: u64,
    },
    /// A camera's calibration cannot be used.
    #[error("the {model} camera cannot be used: {what}")]
    InvalidLens {
        /// COLMAP's name of the model.
        model: &'static str,
        /// What is wrong.
        what: String,
    },
    /// EWA draws pinholes alone.
    #[error(
        "the `{model}` lens bends straight lines, which the ewa renderer cannot draw; use 3dgut, or undistort the photos"
    )]
    NeedsGut {
        /// COLMAP's name of the model.
        model: &'static str,
    },
    /// A view whose lines have poses of their own, for a renderer that knows one pose a view.
    #[error(
        "the ewa renderer cannot draw a rolling shutter; use 3dgut, or leave `keep_distortion` off to take it for a global one"
    )]
    RollingNeedsGut,
    /// A lens whose photos no flat picture can show.
    #[error(
        "photos of this {model} camera cannot be undistorted: {why}; \
         crop the photos, or calibrate them with a narrower camera model"
    )]
    CannotUndistort {
        /// COLMAP's name of the model.
        model: &'static str,
        /// What stands against it.
        why: String,
    },
    /// A scene could not be made; the error is the source's own (COLMAP's, say).
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
    /// The run was cancelled; what was finished is kept.
    #[error("cancelled")]
    Cancelled,
}
