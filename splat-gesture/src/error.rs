//! What can be wrong with recordings, models and files, in sentences for the caller.

use std::path::PathBuf;

use crate::layout::Layout;
use crate::limits;

/// Result of this crate's fallible functions.
pub type Result<T, E = GestureError> = std::result::Result<T, E>;

/// Why a recording, a name, a model or a file was not taken.
///
/// `Display` says what happened, why, and what to try; the cause is in `source`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GestureError {
    /// A frame has another number of values.
    #[error(
        "frame {frame} has {found} values; a frame is {} numbers: 21 landmarks of x, y, z and the handedness",
        limits::FRAME_VALUES
    )]
    FrameLength {
        /// Position in the recording, from 0.
        frame: usize,
        /// Values it has.
        found: usize,
    },
    /// A value is NaN or infinite.
    #[error(
        "frame {frame} holds a value that is no number (at position {position}); leave out frames without a hand"
    )]
    NotFinite {
        /// Position in the recording, from 0.
        frame: usize,
        /// Which of its values.
        position: usize,
    },
    /// A coordinate lies where no hand of this layout can be.
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
    /// The last value of a frame is no handedness.
    #[error("frame {frame} has handedness {value}; it is 0 (left), 1 (right) or -1 (unknown)")]
    Handedness {
        /// Position in the recording, from 0.
        frame: usize,
        /// What it has.
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
    /// Fewer frames than training and checking take.
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
    /// The same frame again and again.
    #[error(
        "only {distinct} of {frames} frames differ from the one before; record a living hand that moves a little, \
         with at least {} different frames",
        limits::MIN_DISTINCT_FRAMES
    )]
    Frozen {
        /// Frames that differ from the one before.
        distinct: usize,
        /// Frames in all.
        frames: usize,
    },
    /// Frames that are hands each, perhaps, and no recording of one.
    #[error(
        "the bones' lengths change by {:.0} % from frame to frame, and a hand's by {:.0} % at most: the landmarks are noise or those of several \
         hands; record one hand in good light, near to the camera",
        100.0 * change,
        100.0 * limits::MAX_UNSTEADINESS
    )]
    Noise {
        /// Median change of a bone's length, relative.
        change: f32,
    },
    /// A recording of one pose and then another.
    #[error(
        "the recording shows two gestures: up to frame {frame} one, and then another, with nothing in between; record one gesture at a time, \
         and stop before the hand changes"
    )]
    TwoGestures {
        /// Where they change, from 0.
        frame: usize,
    },
    /// A name of a wrong length.
    #[error("the name has {found} characters; a gesture's name has 1 to {}", limits::MAX_NAME_CHARS)]
    NameLength {
        /// Characters it has.
        found: usize,
    },
    /// A name with a character that clients and file systems do not take.
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
    /// A name that means no gesture.
    #[error(
        "a gesture cannot be called `none`, which is the answer for an unknown hand; choose another name"
    )]
    NameNone,
    /// The model has a gesture of that name.
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
    /// The model is full.
    #[error("the model has {} gestures, the most that fit; delete one first", limits::MAX_GESTURES)]
    ModelFull,
    /// A model with so few gestures tells nothing apart.
    #[error("{found} gesture(s) make no model; at least {} are needed to tell apart", limits::MIN_GESTURES)]
    TooFewGestures {
        /// Gestures there would be.
        found: usize,
    },
    /// Recording and model do not speak of the same coordinates.
    #[error("the recording has {found} landmarks and the model was trained on {expected} landmarks; send {}", expected.description())]
    LayoutMismatch {
        /// Layout of the model.
        expected: Layout,
        /// Layout of the recording.
        found: Layout,
    },
    /// A text is no CSV or JSON of landmarks.
    #[error("the landmarks cannot be read: {what} (line {line}); see the help for both forms")]
    Unreadable {
        /// What is wrong.
        what: String,
        /// Where, from 1.
        line: usize,
    },
    /// The bytes are no model of this crate.
    #[error(
        "this is no gesture model: {what} at byte {offset}; copy the file again, or go back to its parent"
    )]
    Malformed {
        /// What is wrong.
        what: &'static str,
        /// Bytes from the start.
        offset: usize,
    },
    /// A model written by a newer program.
    #[error(
        "the gesture model has format {found}, and this program reads up to {known}; use a newer program"
    )]
    TooNew {
        /// Format version of the file.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// Training stopped because the caller asked.
    #[error("stopped before the end, as asked")]
    Cancelled,
    /// A file could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
}
