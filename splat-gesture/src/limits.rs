//! What is taken from outside, and no more: every limit on untrusted input in one place.

/// Values of a frame: 21 landmarks of x, y, z, then the handedness.
pub const FRAME_VALUES: usize = 64;
/// Fewest frames of a recording: fewer leave nothing to check the result on.
pub const MIN_FRAMES: usize = 40;
/// Most frames of a recording: 20 seconds at 30 frames a second.
pub const MAX_FRAMES: usize = 600;
/// Fewest frames that differ from the one before.
pub const MIN_DISTINCT_FRAMES: usize = 20;
/// Of so many frames of a recording one may be wrong.
pub const BAD_FRAMES_ONE_IN: usize = 10;
/// Most that the length of the median bone changes from a frame to the next in the median, relative: recordings have 0.15 at most, hands with noise of
/// 10 mm and random numbers 0.26 and more.
pub const MAX_UNSTEADINESS: f32 = 0.22;
/// Fewest gestures of a model.
pub const MIN_GESTURES: usize = 2;
/// Most gestures of a model: what keeps each exported file within 40 KB.
pub const MAX_GESTURES: usize = 30;
/// Longest name of a gesture, in characters.
pub const MAX_NAME_CHARS: usize = 20;
/// Characters that no name may hold: clients make file names of them.
pub const FORBIDDEN_NAME_CHARS: [char; 9] = ['/', '\\', ':', '*', '?', '"', '<', '>', '|'];
/// World coordinates lie within this of the hand's centre, metres.
pub const WORLD_RANGE: (f32, f32) = (-0.4, 0.4);
/// Image coordinates are fractions of the picture; a hand may reach beyond its edge.
pub const IMAGE_RANGE: (f32, f32) = (-2.0, 3.0);
/// Root mean square distance of the landmarks from the wrist, metres: from an infant's fist to a giant's open hand.
pub const WORLD_SIZE: (f32, f32) = (0.02, 0.25);
/// The same as a fraction of the picture.
pub const IMAGE_SIZE: (f32, f32) = (0.005, 1.5);
/// Ancestors that a model remembers by id.
pub const MAX_ANCESTORS: usize = 64;
/// Most frames that a model stores of one gesture, in each of its parts.
pub const MAX_STORED_FRAMES: usize = 256;
/// Longest bundle that is read, bytes.
pub const MAX_BUNDLE_BYTES: usize = 16 << 20;
