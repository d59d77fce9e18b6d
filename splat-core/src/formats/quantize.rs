//! Quantization shared by several formats.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use crate::gaussians::SH_C0;
pub(crate) use crate::gaussians::sigmoid;

/// Quantizes a fraction in 0..1 to a byte.
pub(crate) fn byte(fraction: f32) -> u8 {
    // Out-of-range values saturate in the cast.
    (fraction * 255.0 + 0.5) as u8
}

/// The logit of an opacity. Opacities of exactly 0 and 1 are moved by one step of f32, since their logits are infinite.
pub(crate) fn logit(opacity: f32) -> f32 {
    let inside = opacity.clamp(1e-7, 1.0 - f32::EPSILON / 2.0);
    (inside / (1.0 - inside)).ln()
}

/// The logit of a quantized opacity. The extreme values represent a quarter step inside the range: their logits would be infinite
/// otherwise, and they quantize to the same byte again.
pub(crate) fn logit_of_byte(byte: u8) -> f32 {
    logit(f32::from(byte).clamp(0.25, 254.75) / 255.0)
}

/// The colour of a constant harmonic; displayable colours are 0 to 1.
pub(crate) fn colour(f_dc: f32) -> f32 {
    0.5 + SH_C0 * f_dc
}

/// The constant harmonic of a colour.
pub(crate) fn f_dc(colour: f32) -> f32 {
    (colour - 0.5) / SH_C0
}

/// Normalizes a quaternion; the identity for one of length zero.
pub(crate) fn unit([w, x, y, z]: [f32; 4]) -> [f32; 4] {
    let largest = w.abs().max(x.abs()).max(y.abs()).max(z.abs());
    if !(largest > 0.0 && largest.is_finite()) {
        return [1.0, 0.0, 0.0, 0.0];
    }
    // Divided by the largest component first, so that squares neither underflow nor overflow.
    let scaled = [w, x, y, z].map(|c| c / largest);
    let norm = scaled.iter().map(|c| c * c).sum::<f32>().sqrt();
    scaled.map(|c| c / norm)
}

/// The index of the component largest in magnitude, and the three others in order, with the sign that makes the largest positive:
/// each of the three is within +-1/sqrt 2.
pub(crate) fn smallest_three(unit: [f32; 4]) -> (usize, [f32; 3]) {
    let mut largest = 0;
    for index in 1..4 {
        if unit[index].abs() > unit[largest].abs() {
            largest = index;
        }
    }
    let sign = 1.0_f32.copysign(unit[largest]);
    let mut others = (0..4).filter(|&index| index != largest).map(|index| unit[index] * sign);
    (largest, std::array::from_fn(|_| others.next().unwrap_or_default()))
}

/// The inverse of [`smallest_three`].
pub(crate) fn from_smallest_three(largest: usize, three: [f32; 3]) -> [f32; 4] {
    let rest = 1.0 - three.iter().map(|c| c * c).sum::<f32>();
    let mut others = three.into_iter();
    std::array::from_fn(|index| {
        if index == largest { rest.max(0.0).sqrt() } else { others.next().unwrap_or_default() }
    })
}

/// Maps a number within +-1/sqrt 2 to 0..1.
pub(crate) fn fraction_of_component(component: f32) -> f32 {
    component * FRAC_1_SQRT_2 + 0.5
}

/// The inverse of [`fraction_of_component`].
pub(crate) fn component_of_fraction(fraction: f32) -> f32 {
    (fraction - 0.5) * SQRT_2
}

/// Decodes an IEEE 754 half.
pub(crate) fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2.0_f32.powi(exponent - 15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quaternions_survive_their_three_numbers() {
        for quat in
            [[1.0, 0.0, 0.0, 0.0], [0.5, -0.5, 0.5, -0.5], [0.1, -0.2, -0.9, 0.3], [3e-30, 1e-30, 0.0, 0.0]]
        {
            let unit = unit(quat);
            let (largest, three) = smallest_three(unit);
            let back = from_smallest_three(largest, three);
            let dot: f32 = unit.iter().zip(back).map(|(a, b)| a * b).sum();
            assert!((dot.abs() - 1.0).abs() < 1e-6, "{quat:?} {back:?}");
            for component in three {
                let again = component_of_fraction(fraction_of_component(component));
                assert!((again - component).abs() < 1e-6);
            }
        }
        assert_eq!(unit([0.0; 4]), [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn bytes_of_opacity_come_back() {
        for value in 0..=255 {
            assert_eq!(byte(sigmoid(logit_of_byte(value))), value);
        }
        assert!(logit(0.0).is_finite() && logit(1.0).is_finite());
    }

    #[test]
    fn halves() {
        for (bits, value) in
            [(0x3c00, 1.0), (0xc000, -2.0), (0x3555, 0.333_251_95), (1, 5.960_464_5e-8), (0x7bff, 65504.0)]
        {
            assert_eq!(half(bits), value);
        }
        assert!(half(0x7c00).is_infinite() && half(0x7e00).is_nan());
    }
}
