//! Errors about recordings, models and files, as sentences for the caller.

use std::path::PathBuf;

use crate::layout::Layout;
use crate::limits;

/// Result of this crate's fallible functions.
pub type Result<T, E = GestureError> = std::result::Result<T, E>;

/// Why a recording, a name, a model or a file was rejected.
///
/// `Display` says what happened, why, and what to try; `source` returns the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GestureError {
    /// A frame with the wrong number of values.
    #[error(
        "frame {frame} has {found} values; a frame is {} numbers: 21 landmarks of x, y, z and the handedness",
        limits::FRAME_VALUES
    )]
    FrameLength {
        /// Position in the recording, from 0.
        frame: usize,
        /// Number of values in the frame.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error(
        "frame {frame} holds a value that is no number (at position {position}); leave out frames without a hand"
    )]
    NotFinite {
        /// Position in the recording, from 0.
        frame: usize,
        /// Index of the value.
        position: usize,
    },
    /// A coordinate outside the range of this layout.
    #[error(
        "frame {frame} holds the coordinate {value}, outside {low}..{high}, where every {layout} landmark lies; \
         send {} , or name the other layout", layout.description()
    )]
    OutOfRange {
        /// Position in the recording, from 0.
        frame: usize,
        /// The coordinate out of range.
        value: f32,
        /// Smallest allowed.
        low: f32,
        /// Largest allowed.
        high: f32,
        /// The recording's layout.
        layout: Layout,
    },
    /// The last value of a frame is not a handedness.
    #[error("frame {frame} has handedness {value}; it is 0 (left), 1 (right) or -1 (unknown)")]
    Handedness {
        /// Position in the recording, from 0.
        frame: usize,
        /// The value.
        value: f32,
    },
    /// All landmarks in one place, or spread wider than a hand.
    #[error(
        "frame {frame} is no hand: its landmarks lie {size} from the wrist on average (root mean square), and hands {low} to {high}"
    )]
    NoHand {
        /// Position in the recording, from 0.
        frame: usize,
        /// Root mean square distance from the wrist.
        size: f32,
        /// Smallest allowed.
        low: f32,
        /// Largest allowed.
        high: f32,
    },
    /// Fewer frames than training and evaluation need.
    #[error(
        "{found} frames are too few; a recording has {} to {}, clients send 100",
        limits::MIN_FRAMES,
        limits::MAX_FRAMES
    )]
    TooFewFrames {
        /// Number of frames sent.
        found: usize,
    },
    /// More frames than one recording may have.
    #[error(
        "{found} frames are too many; a recording has {} to {}, clients send 100",
        limits::MIN_FRAMES,
        limits::MAX_FRAMES
    )]
    TooManyFrames {
        /// Number of frames sent.
        found: usize,
    },
    /// The same frame repeated.
    #[error(
        "only {distinct} of {frames} frames differ from the one before; record a living hand that moves a little, \
         with at least {} different frames",
        limits::MIN_DISTINCT_FRAMES
    )]
    Frozen {
        /// Number of frames that differ from the one before.
        distinct: usize,
        /// Number of frames.
        frames: usize,
    },
    /// Frames that do not form a continuous recording of a hand, although each may be one.
    #[error(
        "the bones' lengths change by {:.0} % from frame to frame, and a hand's by {:.0} % at most: the landmarks are noise or those of several \
         hands; record one hand in good light, near to the camera",
        100.0 * change,
        100.0 * limits::MAX_UNSTEADINESS
    )]
    Noise {
        /// Median relative change of a bone's length.
        change: f32,
    },
    /// A recording of two different poses.
    #[error(
        "the recording shows two gestures: up to frame {frame} one, and then another, with nothing in between; record one gesture at a time, \
         and stop before the hand changes"
    )]
    TwoGestures {
        /// Index of the frame where the pose changes, from 0.
        frame: usize,
    },
    /// A name that is too short or too long.
    #[error("the name has {found} characters; a gesture's name has 1 to {}", limits::MAX_NAME_CHARS)]
    NameLength {
        /// Number of characters.
        found: usize,
    },
    /// A name with a character that clients or file systems do not accept.
    #[error(
        "the name holds {character:?}; none of / \\ : * ? \" < > | and no control characters may be in it"
    )]
    NameCharacter {
        /// The first such character.
        character: char,
    },
    /// A name of white space only.
    #[error("the name is blank; give the gesture a name that can be read")]
    NameBlank,
    /// A name that is reserved for "no gesture".
    #[error(
        "a gesture cannot be called `none`, which is the answer for an unknown hand; choose another name"
    )]
    NameNone,
    /// The model already has a gesture of that name.
    #[error(
        "the model already has a gesture named `{name}`; choose another name, or rename or delete that one first"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The model has no gesture of that name.
    #[error("the model has no gesture named `{name}`; it has: {}", has.join(", "))]
    NoSuchGesture {
        /// The name.
        name: String,
        /// The model's gestures.
        has: Vec<String>,
    },
    /// The model has the maximum number of gestures.
    #[error("the model has {} gestures, the most that fit; delete one first", limits::MAX_GESTURES)]
    ModelFull,
    /// The model would have too few gestures to distinguish anything.
    #[error("{found} gesture(s) make no model; at least {} are needed to tell apart", limits::MIN_GESTURES)]
    TooFewGestures {
        /// Number of gestures that it would have.
        found: usize,
    },
    /// Recording and model have different layouts.
    #[error("the recording has {found} landmarks and the model was trained on {expected} landmarks; send {}", expected.description())]
    LayoutMismatch {
        /// Layout of the model.
        expected: Layout,
        /// Layout of the recording.
        found: Layout,
    },
    /// A text that is not CSV or JSON of landmarks.
    #[error("the landmarks cannot be read: {what} (line {line}); see the help for both forms")]
    Unreadable {
        /// What is wrong.
        what: String,
        /// Line, from 1.
        line: usize,
    },
    /// The bytes are not a model of this crate.
    #[error(
        "this is no gesture model: {what} at byte {offset}; copy the file again, or go back to its parent"
    )]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Offset from the start, bytes.
        offset: usize,
    },
    /// A model written by a newer program.
    #[error(
        "the gesture model has format {found}, and this program reads up to {known}; use a newer program"
    )]
    TooNew {
        /// Format version of the file.
        found: u32,
        /// Newest supported version.
        known: u32,
    },
    /// Training was cancelled by the caller.
    #[error("stopped before the end, as asked")]
    Cancelled,
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}
