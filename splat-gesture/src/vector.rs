//! Vector arithmetic.

/// x, y, z.
pub(crate) type Vec3 = [f32; 3];

pub(crate) fn add(a: Vec3, b: Vec3) -> Vec3 {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

pub(crate) fn scale(a: Vec3, factor: f32) -> Vec3 {
    a.map(|value| value * factor)
}

pub(crate) fn dot(a: Vec3, b: Vec3) -> f32 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(crate) fn cross(a: Vec3, b: Vec3) -> Vec3 {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// The vector with length 1, or 0 if it has none.
pub(crate) fn normalize(a: Vec3) -> Vec3 {
    let length = dot(a, a).sqrt();
    if length > 0.0 { scale(a, 1.0 / length) } else { [0.0; 3] }
}

/// Rows of the rotation by `[in the picture, to the side, up]` radians: about z, then y, then x.
pub(crate) fn rotation(angles: Vec3) -> [Vec3; 3] {
    let [(sz, cz), (sy, cy), (sx, cx)] = angles.map(f32::sin_cos);
    [
        [cy * cz, -cy * sz, sy],
        [cx * sz + sx * sy * cz, cx * cz - sx * sy * sz, -sx * cy],
        [sx * sz - cx * sy * cz, sx * cz + cx * sy * sz, cx * cy],
    ]
}

/// Matrix by rows times vector.
pub(crate) fn transform(matrix: &[Vec3; 3], vector: Vec3) -> Vec3 {
    matrix.map(|row| dot(row, vector))
}
