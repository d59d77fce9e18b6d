//! All limits on untrusted input.

/// Values of a frame: 21 landmarks of x, y, z, then the handedness.
pub const FRAME_VALUES: usize = 64;
/// Minimum number of frames of a recording: fewer leave nothing for the evaluation.
pub const MIN_FRAMES: usize = 40;
/// Maximum number of frames of a recording: 20 seconds at 30 frames per second.
pub const MAX_FRAMES: usize = 600;
/// Minimum number of frames that differ from the one before.
pub const MIN_DISTINCT_FRAMES: usize = 20;
/// One of this many frames of a recording may be invalid.
pub const BAD_FRAMES_ONE_IN: usize = 10;
/// Maximum median over time of the median relative change of bone lengths between frames: recordings have 0.15 at most, hands
/// with noise of 10 mm and random numbers 0.26 and more.
pub const MAX_UNSTEADINESS: f32 = 0.22;
/// Minimum number of gestures of a model.
pub const MIN_GESTURES: usize = 2;
/// Maximum number of gestures of a model, which keeps each exported file within 40 KB.
pub const MAX_GESTURES: usize = 30;
/// Maximum length of a gesture's name, in characters.
pub const MAX_NAME_CHARS: usize = 20;
/// Characters that names must not contain, because clients use them as file names.
pub const FORBIDDEN_NAME_CHARS: [char; 9] = ['/', '\\', ':', '*', '?', '"', '<', '>', '|'];
/// Maximum distance of world coordinates from the hand's centre, metres.
pub const WORLD_RANGE: (f32, f32) = (-0.4, 0.4);
/// Range of image coordinates, which are fractions of the picture; a hand may reach beyond its edge.
pub const IMAGE_RANGE: (f32, f32) = (-2.0, 3.0);
/// Range of the root mean square distance of the landmarks from the wrist, metres: from an infant's fist to a very large open
/// hand.
pub const WORLD_SIZE: (f32, f32) = (0.02, 0.25);
/// The same as a fraction of the picture.
pub const IMAGE_SIZE: (f32, f32) = (0.005, 1.5);
/// Maximum number of ancestors that a model lists.
pub const MAX_ANCESTORS: usize = 64;
/// Maximum number of frames that a model stores of one gesture, in each of its parts.
pub const MAX_STORED_FRAMES: usize = 256;
/// Maximum size of a bundle, bytes.
pub const MAX_BUNDLE_BYTES: usize = 16 << 20;
