//! Variations of recorded frames: another camera, hand or gesture.

use splat_gesture::{Frame, Handedness, LANDMARKS, LabelledFrames, Layout};

type Points = [[f32; 3]; LANDMARKS];

/// Coordinates of the landmarks relative to the wrist, in hand sizes.
fn relative(frame: &Frame) -> Points {
    let (values, size) = (frame.values(), frame.size());
    std::array::from_fn(|i| std::array::from_fn(|axis| (values[3 * i + axis] - values[axis]) / size))
}

/// A frame of `layout` with these landmarks, given relative to the wrist in hand sizes.
fn frame(points: &Points, hand: Handedness, layout: Layout) -> Frame {
    // A hand of 95 mm, or of a fifth of the picture in its middle.
    let (size, middle) = match layout {
        Layout::World => (0.095, 0.0),
        Layout::Image => (0.2, 0.5),
    };
    let mut values: Vec<f32> = points.iter().flatten().map(|value| value * size).collect();
    for (index, value) in values.iter_mut().enumerate() {
        *value += if index % 3 == 2 { 0.0 } else { middle };
    }
    values.push(hand.code());
    Frame::parse(&values, layout, 0).unwrap()
}

fn hand(frame: &Frame) -> Handedness {
    match frame.values()[63] {
        0.0 => Handedness::Left,
        1.0 => Handedness::Right,
        _ => Handedness::Unknown,
    }
}

/// The hand in world coordinates, scaled to a size of 95 mm.
pub(crate) fn in_metres(image: &Frame) -> Frame {
    frame(&relative(image), hand(image), Layout::World)
}

/// The hand as a detector in two dimensions reports it, without handedness.
pub(crate) fn flat(original: &Frame) -> Frame {
    let mut values = original.values();
    values[..63].iter_mut().skip(2).step_by(3).for_each(|z| *z = 0.0);
    values[63] = Handedness::Unknown.code();
    Frame::parse(&values, Layout::Image, 0).unwrap()
}

/// The same for a recording in which the hand rotates by up to `swing` degrees either way and bone lengths change by half as many
/// per cent.
pub(crate) fn flat_swung(recording: &LabelledFrames, swing: f32) -> LabelledFrames {
    let view = |(i, frame): (usize, &Frame)| {
        let wave = |period: f32| (i as f32 / period).sin();
        let length = |period: f32| 1.0 + 0.005 * swing * wave(period);
        let frame = of_person(frame, Layout::Image, [3.1, 3.7, 4.3, 5.9, 2.3].map(length), length(6.1));
        flat(&turned(&frame, Layout::Image, swing * (i as f32 / 7.3 + 1.0).sin(), swing * wave(5.0)))
    };
    let frames = recording.frames.iter().enumerate().map(view).collect();
    LabelledFrames { label: recording.label.clone(), frames }
}

/// The hand rotated in the picture and to the side, degrees.
pub(crate) fn turned(original: &Frame, layout: Layout, in_picture: f32, to_side: f32) -> Frame {
    let (sin, cos) = in_picture.to_radians().sin_cos();
    let (side_sin, side_cos) = to_side.to_radians().sin_cos();
    let points = relative(original).map(|[x, y, z]| {
        let (x, z) = (side_cos * x + side_sin * z, side_cos * z - side_sin * x);
        [cos * x - sin * y, sin * x + cos * y, z]
    });
    frame(&points, hand(original), layout)
}

/// The pose on another person's hand: lengths of thumb to little finger and width of the palm, relative.
pub(crate) fn of_person(original: &Frame, layout: Layout, lengths: [f32; 5], width: f32) -> Frame {
    let old = relative(original);
    let mut new = old;
    // Across the palm, from the index to the little finger's knuckle.
    let across = unit(minus(old[17], old[5]));
    for (finger, length) in lengths.iter().enumerate() {
        let knuckle = 1 + 4 * finger;
        let along: f32 = dot(minus(old[knuckle], old[9]), across);
        new[knuckle] = plus(old[knuckle], across.map(|value| value * along * (width - 1.0)));
        for joint in knuckle + 1..knuckle + 4 {
            let bone = minus(old[joint], old[joint - 1]);
            new[joint] = plus(new[joint - 1], bone.map(|value| value * length));
        }
    }
    frame(&new, hand(original), layout)
}

/// `base` with these fingers (0 thumb .. 4 little finger) of `other`, each relative to its own palm.
pub(crate) fn grafted(base: &Frame, other: &Frame, fingers: &[usize], layout: Layout) -> Frame {
    let (mut points, theirs) = (relative(base), relative(other));
    let (own_axes, their_axes) = (palm(&points), palm(&theirs));
    for finger in fingers {
        let knuckle = 1 + 4 * finger;
        for joint in knuckle + 1..knuckle + 4 {
            let offset = minus(theirs[joint], theirs[knuckle]);
            let local = their_axes.map(|axis| dot(axis, offset));
            let mut at = points[knuckle];
            for (axis, value) in own_axes.iter().zip(local) {
                at = plus(at, axis.map(|component| component * value));
            }
            points[joint] = at;
        }
    }
    frame(&points, hand(base), layout)
}

/// Root mean square distance of the landmarks of two hands, hand sizes, each standing on its own palm.
pub(crate) fn difference(a: &Frame, b: &Frame) -> f32 {
    let [a, b] = [a, b].map(|frame| {
        let points = relative(frame);
        let axes = palm(&points);
        points.map(|point| axes.map(|axis| dot(axis, point)))
    });
    let sum: f32 = a.iter().zip(&b).map(|(a, b)| dot(minus(*a, *b), minus(*a, *b))).sum();
    (sum / (LANDMARKS - 1) as f32).sqrt()
}

/// Axes of the palm: to the fingers, across, and off it.
fn palm(points: &Points) -> [[f32; 3]; 3] {
    let along = unit(points[9]);
    let across = minus(points[17], points[5]);
    let across = unit(minus(across, along.map(|value| value * dot(along, across))));
    [along, across, cross(along, across)]
}

fn plus(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|i| a[i] + b[i])
}

fn minus(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|i| a[i] - b[i])
}

fn dot(a: [f32; 3], b: [f32; 3]) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross(a: [f32; 3], b: [f32; 3]) -> [f32; 3] {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

fn unit(a: [f32; 3]) -> [f32; 3] {
    let length = dot(a, a).sqrt().max(1e-6);
    a.map(|value| value / length)
}
