// ratio (3DGUT): the two quadratic forms of a response, evaluated at one ray, and the resulting alpha.

// log2 of an alpha that counts as 0.
const NOT_SEEN: f32 = -1e9;

// Denominators are 1 at the mean and positive everywhere; this guards against rounding.
const DENOMINATOR_FLOOR: f32 = 1e-12;

struct Ratio {
    over: f32,
    inverse_under: f32,
    // Whether the closest approach lies in front of the ray's origin.
    ahead: bool,
}

fn ratio_of(over: f32, under: f32, toward: f32) -> Ratio {
    return Ratio(max(over, 0.0), 1.0 / max(under, DENOMINATOR_FLOOR), toward > 0.0);
}

// log2 of the alpha, before its cap.
fn log2_alpha(log2_opacity: f32, r: Ratio) -> f32 {
    return select(NOT_SEEN, log2_opacity - r.over * r.inverse_under, r.ahead);
}
