//! Errors of this crate.

use std::path::PathBuf;

/// Why an operation of this crate failed.
///
/// `Display` says what happened and what to try; the cause is in `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// A file or folder could not be written.
    #[error("cannot write `{}`: {hint}", path.display())]
    Write {
        /// The path.
        path: PathBuf,
        /// What to try.
        hint: &'static str,
        /// The I/O error.
        source: std::io::Error,
    },
    /// Another process is using an output folder.
    #[error(
        "`{}` is in use by {holder}; wait until that run ends, stop it, or choose another output folder",
        path.display()
    )]
    Busy {
        /// The output folder.
        path: PathBuf,
        /// The process that holds the lock.
        holder: String,
    },
    /// A file violates its format.
    #[error("`{}` is not a valid {format}: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The expected format.
        format: &'static str,
        /// What is wrong, and where.
        what: String,
    },
    /// No usable GPU driver, software or hardware.
    #[error("no GPU to compute on: {why}; {}", crate::machine::INSTALL_GPU_DRIVER)]
    NoAdapter {
        /// What was searched for, and what was found.
        why: String,
    },
    /// The device was lost; the last checkpoint is still valid.
    #[error(
        "the GPU stopped answering ({why}); resume from the last checkpoint, and update the driver if it happens again"
    )]
    DeviceLost {
        /// The driver's message.
        why: String,
    },
    /// The device is out of memory.
    #[error("the GPU ran out of memory ({why}); lower the cap on Gaussians or the image size")]
    OutOfGpuMemory {
        /// The driver's message.
        why: String,
    },
    /// A buffer would exceed the device's limit for a binding, or for a whole buffer if it is bound in parts.
    #[error(
        "`{what}` would need {bytes} bytes and this GPU allows {limit} at most; lower the cap on Gaussians or the image size"
    )]
    BindingTooLarge {
        /// Label of the buffer.
        what: &'static str,
        /// Bytes needed.
        bytes: u64,
        /// Maximum bytes allowed.
        limit: u64,
    },
    /// The driver rejected a valid operation.
    #[error("the GPU driver refused a command ({why}); this is a bug here or in the driver")]
    Gpu {
        /// The driver's message.
        why: String,
    },
    /// The driver computes wrong results.
    #[error(
        "this GPU driver computes wrongly: {stage} fails its self-test ({how}); update the driver, or choose another adapter with SPLAT_ADAPTER or SPLAT_BACKEND"
    )]
    WrongResult {
        /// The stage whose result is wrong.
        stage: &'static str,
        /// The deviation.
        how: String,
    },
    /// An invalid training setting.
    #[error("unusable training settings: {why}")]
    Config {
        /// Which setting, and what would be valid.
        why: String,
    },
    /// A dataset that cannot be trained on.
    #[error("unusable scene: {why}")]
    Scene {
        /// What is missing or inconsistent, and what to try.
        why: String,
    },
    /// The parts of a cloud are inconsistent.
    #[error("these Gaussians cannot be used: {why}")]
    Cloud {
        /// What is inconsistent.
        why: String,
    },
    /// An image or its gradient has an invalid size.
    #[error("unusable image size: {why}")]
    ImageSize {
        /// Which one, and what would be valid.
        why: String,
    },
    /// A camera path built in code is invalid.
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
        /// What it is or what is wrong with it, and what to try.
        what: String,
    },
    /// A photo's header claims more pixels than the limit.
    #[error(
        "cannot use photo `{}`: its header says {width}x{height} pixels ({} megapixels), above the limit of {}; scale it down first",
        path.display(),
        u64::from(*width) * u64::from(*height) / 1_000_000,
        limit / 1_000_000
    )]
    PhotoTooLarge {
        /// The file.
        path: PathBuf,
        /// Width according to the header, in pixels.
        width: u32,
        /// Height according to the header, in pixels.
        height: u32,
        /// Maximum number of pixels.
        limit: u64,
    },
    /// A camera's calibration is invalid.
    #[error("the {model} camera cannot be used: {what}")]
    InvalidLens {
        /// COLMAP's name of the camera model.
        model: &'static str,
        /// What is wrong.
        what: String,
    },
    /// EWA cannot render lenses with distortion.
    #[error(
        "the `{model}` lens bends straight lines, which the ewa renderer cannot draw; use 3dgut, or undistort the photos"
    )]
    NeedsGut {
        /// COLMAP's name of the camera model.
        model: &'static str,
    },
    /// EWA cannot render rolling shutters.
    #[error(
        "the ewa renderer cannot draw a rolling shutter; use 3dgut, or leave `keep_distortion` off to take it for a global one"
    )]
    RollingNeedsGut,
    /// A lens whose photos cannot be undistorted to a pinhole.
    #[error(
        "photos of this {model} camera cannot be undistorted: {why}; \
         crop the photos, or calibrate them with a narrower camera model"
    )]
    CannotUndistort {
        /// COLMAP's name of the camera model.
        model: &'static str,
        /// The reason.
        why: String,
    },
    /// The scene source failed with its own error type (such as COLMAP's).
    #[error(transparent)]
    Source(Box<dyn std::error::Error + Send + Sync>),
    /// The run was cancelled; finished results are kept.
    #[error("cancelled")]
    Cancelled,
}
