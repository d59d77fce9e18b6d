//! Quantised input of the legacy model: 64 bytes in steps of a millimetre.

use crate::frame::{Frame, Handedness, LANDMARKS, Layout};
use crate::limits::FRAME_VALUES;

/// Metres per step of the legacy input; clients read it from the tensor.
pub const INPUT_SCALE: f32 = 0.001;
/// The byte that represents 0.
pub const INPUT_ZERO_POINT: u8 = 128;
/// Score per step of the legacy output, whose zero point is 0.
pub const OUTPUT_SCALE: f32 = 1.0 / 256.0;

/// Size in metres to which frames of image coordinates are scaled before they are quantised.
const LEGACY_HAND_SIZE: f32 = 0.095;

/// The 64 input bytes of the legacy model: `round(value / INPUT_SCALE) + INPUT_ZERO_POINT`, clamped.
///
/// World landmarks are used unchanged. Image landmarks do not fit into 256 steps of a millimetre, so they are first centred and
/// scaled to a hand's size in metres; the model normalises them anyway.
#[must_use]
pub fn quantize(frame: &Frame, layout: Layout) -> [u8; FRAME_VALUES] {
    let frame = match layout {
        Layout::World => *frame,
        Layout::Image => centred(frame),
    };
    frame
        .values()
        .map(|value| (value / INPUT_SCALE + f32::from(INPUT_ZERO_POINT)).round().clamp(0.0, 255.0) as u8)
}

fn centred(frame: &Frame) -> Frame {
    let (mut low, mut high) = ([f32::INFINITY; 3], [f32::NEG_INFINITY; 3]);
    for point in &frame.points {
        for axis in 0..3 {
            low[axis] = low[axis].min(point[axis]);
            high[axis] = high[axis].max(point[axis]);
        }
    }
    let largest = (0..3).map(|axis| high[axis] - low[axis]).fold(1e-6, f32::max);
    // A stretched-out hand must fit as well.
    let scale = (LEGACY_HAND_SIZE / frame.size().max(1e-6)).min(0.25 / largest);
    let mut points = frame.points;
    for point in &mut points {
        for axis in 0..3 {
            point[axis] = (point[axis] - 0.5 * (low[axis] + high[axis])) * scale;
        }
    }
    Frame { points, hand: frame.hand }
}

/// The frame after quantisation by [`quantize`] and dequantisation by the legacy model's first operator. Recognising it with
/// [`crate::Model::predict`] gives the legacy model's result before its output is rounded.
#[must_use]
pub fn as_legacy_sees(frame: &Frame, layout: Layout) -> Frame {
    dequantized(&quantize(frame, layout))
}

/// The values that 64 bytes represent. The clamped handedness keeps its meaning.
fn dequantized(bytes: &[u8; FRAME_VALUES]) -> Frame {
    let value = |byte: u8| (f32::from(byte) - f32::from(INPUT_ZERO_POINT)) * INPUT_SCALE;
    let mut points = [[0.0; 3]; LANDMARKS];
    for (point, xyz) in points.iter_mut().zip(bytes.chunks_exact(3)) {
        for (coordinate, byte) in point.iter_mut().zip(xyz) {
            *coordinate = value(*byte);
        }
    }
    let hand = match bytes[FRAME_VALUES - 1].cmp(&INPUT_ZERO_POINT) {
        std::cmp::Ordering::Less => Handedness::Unknown,
        std::cmp::Ordering::Equal => Handedness::Left,
        std::cmp::Ordering::Greater => Handedness::Right,
    };
    Frame { points, hand }
}
