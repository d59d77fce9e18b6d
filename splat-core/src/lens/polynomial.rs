//! Polynomial distortion, and the radius up to which it can be inverted.

use glam::{DMat2, DVec2};

use super::uniform::LensUniform;

/// Iterations of any solver here. Newton's method converges in 3 to 6; bisection, its fallback,
/// reaches the last bit in fewer than 100.
const MAX_ITERATIONS: usize = 100;
/// Upper bound of the search for a perspective lens's ray: 89.9999 degrees from the axis.
const MAX_PERSPECTIVE_RADIUS: f64 = 1e6;
/// Step size, relative to 1 + the radius, at which an iteration has converged.
const STEP_TOLERANCE: f64 = 1e-14;
/// Maximum distance between a pixel and the reprojection of its ray, in units of the focal length.
const RESIDUAL_TOLERANCE: f64 = 1e-9;

/// Radial distortion `r -> r N(r^2) / D(r^2)` with `N = 1 + n0 s + n1 s^2 + ...`, `D` likewise.
#[derive(Clone, Debug)]
pub(super) struct Radial {
    numerator: Vec<f64>,
    denominator: Vec<f64>,
    /// Radius where the map stops growing (or its denominator vanishes): beyond it two radii have the same image, so the map
    /// cannot be inverted.
    limit: f64,
}

impl Radial {
    /// From the coefficients of `s, s^2, ...`; `limit` is a geometric bound on the radius (pi for an angle).
    pub(super) fn new(numerator: &[f64], denominator: &[f64], limit: f64) -> Self {
        let with_one = |tail: &[f64]| std::iter::once(1.0).chain(tail.iter().copied()).collect::<Vec<_>>();
        let (numerator, denominator) = (with_one(numerator), with_one(denominator));
        // d/dr (r N/D) = [(N + 2 s N') D - 2 s N D'] / D^2
        let twice_s_derivative = |p: &[f64]| -> Vec<f64> {
            p.iter().enumerate().map(|(power, c)| 2.0 * power as f64 * c).collect()
        };
        let grown: Vec<f64> =
            numerator.iter().zip(twice_s_derivative(&numerator)).map(|(a, b)| a + b).collect();
        let left = multiply(&grown, &denominator);
        let right = multiply(&numerator, &twice_s_derivative(&denominator));
        let slope: Vec<f64> = left.iter().zip(&right).map(|(a, b)| a - b).collect();
        let square = (limit * limit).min(MAX_PERSPECTIVE_RADIUS * MAX_PERSPECTIVE_RADIUS);
        let fold = first_root(&slope, square).unwrap_or(square);
        let pole = first_root(&denominator, square).unwrap_or(square);
        Self { numerator, denominator, limit: fold.min(pole).sqrt() }
    }

    /// `N / D` and its derivative at `s = r^2`.
    fn factor(&self, s: f64) -> (f64, f64) {
        let (n, dn) = evaluate(&self.numerator, s);
        let (d, dd) = evaluate(&self.denominator, s);
        (n / d, (dn * d - n * dd) / (d * d))
    }

    pub(super) fn distort(&self, point: DVec2) -> Option<DVec2> {
        (point.length() <= self.limit).then(|| point * self.factor(point.length_squared()).0)
    }

    /// The radius whose distorted radius is `distorted`: Newton's method inside a bracket.
    fn undistort_radius(&self, distorted: f64) -> Option<f64> {
        let image = |r: f64| r * self.factor(r * r).0;
        // Doubling from the distorted radius brackets the solution tightly even if the limit is far away.
        let (mut low, mut high) = (0.0, distorted.min(self.limit));
        while image(high) < distorted {
            if high >= self.limit {
                return None;
            }
            (low, high) = (high, (2.0 * high).max(1e-3).min(self.limit));
        }
        let mut r = distorted.clamp(low, high);
        for _ in 0..MAX_ITERATIONS {
            let (factor, slope) = self.factor(r * r);
            let excess = r * factor - distorted;
            if excess > 0.0 {
                high = r
            } else {
                low = r
            }
            let newton = r - excess / (factor + 2.0 * r * r * slope);
            let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
            let moved = (next - r).abs();
            r = next;
            if moved <= STEP_TOLERANCE * (1.0 + r) {
                break;
            }
        }
        Some(r)
    }

    pub(super) fn undistort(&self, distorted: DVec2) -> Option<DVec2> {
        let length = distorted.length();
        if length == 0.0 {
            return Some(distorted);
        }
        Some(distorted * (self.undistort_radius(length)? / length))
    }
}

/// Decentring and thin-prism terms, a small shift that depends on the point.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shift {
    /// Decentring: `dx = 2 p1 x y + p2 (s + 2 x^2)`, `dy = 2 p2 x y + p1 (s + 2 y^2)`.
    pub(super) p1: f64,
    pub(super) p2: f64,
    /// Thin prism along x: `dx += a s + b s^2`.
    pub(super) prism_x: [f64; 2],
    /// Thin prism along y.
    pub(super) prism_y: [f64; 2],
}

impl Shift {
    fn is_zero(&self) -> bool {
        self.p1 == 0.0 && self.p2 == 0.0 && self.prism_x == [0.0; 2] && self.prism_y == [0.0; 2]
    }

    pub(super) fn at(&self, p: DVec2) -> DVec2 {
        let (s, xy) = (p.length_squared(), p.x * p.y);
        DVec2::new(
            2.0 * self.p1 * xy
                + self.p2 * (s + 2.0 * p.x * p.x)
                + s * (self.prism_x[0] + s * self.prism_x[1]),
            2.0 * self.p2 * xy
                + self.p1 * (s + 2.0 * p.y * p.y)
                + s * (self.prism_y[0] + s * self.prism_y[1]),
        )
    }

    fn jacobian(&self, p: DVec2) -> DMat2 {
        let (s, Self { p1, p2, prism_x, prism_y }) = (p.length_squared(), *self);
        let prism_x = 2.0 * (prism_x[0] + 2.0 * s * prism_x[1]);
        let prism_y = 2.0 * (prism_y[0] + 2.0 * s * prism_y[1]);
        let along_x = DVec2::new(2.0 * p1 * p.y + 6.0 * p2 * p.x, 2.0 * p2 * p.y + 2.0 * p1 * p.x);
        let along_y = DVec2::new(2.0 * p1 * p.x + 2.0 * p2 * p.y, 2.0 * p2 * p.x + 6.0 * p1 * p.y);
        DMat2::from_cols(
            along_x + p.x * DVec2::new(prism_x, prism_y),
            along_y + p.y * DVec2::new(prism_x, prism_y),
        )
    }
}

/// Radial distortion plus a shift, in the two orders that the models use.
#[derive(Clone, Debug)]
pub(super) struct Distortion {
    pub(super) radial: Radial,
    pub(super) shift: Shift,
    /// Whether the shift is evaluated at the radially distorted point (Aria's order) instead of the
    /// undistorted one (OpenCV's).
    pub(super) shift_after_radial: bool,
}

impl Distortion {
    /// Sets the parameters for kernels.
    pub(super) fn fill(&self, uniform: &mut LensUniform) {
        // The constant term is 1; the models have at most six others above and three below.
        let over = |power: usize| self.radial.numerator.get(power).copied().unwrap_or(0.0) as f32;
        let under = |power: usize| self.radial.denominator.get(power).copied().unwrap_or(0.0) as f32;
        let Shift { p1, p2, prism_x: [xa, xb], prism_y: [ya, yb] } = self.shift;
        uniform.numerator = [over(1), over(2), over(3), over(4)];
        (uniform.numerator5, uniform.numerator6) = (over(5), over(6));
        uniform.denominator = [under(1), under(2), under(3)];
        uniform.prism = [xa as f32, xb as f32, ya as f32, yb as f32];
        uniform.decentring = [p1 as f32, p2 as f32];
        uniform.limit = self.radial.limit as f32;
        uniform.shift_after_radial = f32::from(u8::from(self.shift_after_radial));
    }

    pub(super) fn distort(&self, point: DVec2) -> Option<DVec2> {
        let radial = self.radial.distort(point)?;
        let at = if self.shift_after_radial { radial } else { point };
        Some(radial + self.shift.at(at))
    }

    /// The inverse of [`Distortion::distort`].
    pub(super) fn undistort(&self, distorted: DVec2) -> Option<DVec2> {
        if self.shift.is_zero() {
            return self.radial.undistort(distorted);
        }
        if self.shift_after_radial {
            let shifted = newton(distorted, distorted, |p| {
                (p + self.shift.at(p), DMat2::IDENTITY + self.shift.jacobian(p))
            })?;
            return self.radial.undistort(shifted);
        }
        // The shift is small, so the radial solution is a good start, and at the limit the best one available.
        let reach = DVec2::splat(self.radial.limit).length().min(distorted.length());
        let start = self.radial.undistort(distorted).unwrap_or(distorted.clamp_length_max(reach));
        let point = newton(distorted, start, |p| {
            let (factor, slope) = self.radial.factor(p.length_squared());
            let stretch = DMat2::from_diagonal(DVec2::splat(factor));
            let bend = DMat2::from_cols(p * (2.0 * slope * p.x), p * (2.0 * slope * p.y));
            (p * factor + self.shift.at(p), stretch + bend + self.shift.jacobian(p))
        })?;
        (point.length() <= self.radial.limit).then_some(point)
    }
}

/// Solves `map(p).0 = target`; `map` also returns the Jacobian. `None` unless it converges.
fn newton(target: DVec2, start: DVec2, map: impl Fn(DVec2) -> (DVec2, DMat2)) -> Option<DVec2> {
    let mut point = start;
    for _ in 0..MAX_ITERATIONS {
        let (image, jacobian) = map(point);
        let step = jacobian.inverse() * (target - image);
        // Near the limit, a trust region prevents a step to another branch.
        let step = step.clamp_length_max(0.1 * (1.0 + point.length()));
        if !step.is_finite() {
            return None;
        }
        point += step;
        if step.length() <= STEP_TOLERANCE * (1.0 + point.length()) {
            break;
        }
    }
    let (image, jacobian) = map(point);
    let close = image.distance(target) <= RESIDUAL_TOLERANCE * (1.0 + target.length());
    (close && jacobian.determinant() > 0.0).then_some(point)
}

/// Value and derivative of a polynomial with coefficients in ascending order.
fn evaluate(coefficients: &[f64], s: f64) -> (f64, f64) {
    coefficients.iter().rev().fold((0.0, 0.0), |(value, slope), c| (value * s + c, slope * s + value))
}

fn multiply(a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut product = vec![0.0; a.len() + b.len() - 1];
    for (i, x) in a.iter().enumerate() {
        for (slot, y) in product[i..].iter_mut().zip(b) {
            *slot += x * y;
        }
    }
    product
}

/// The smallest root in `(0, end]` of a polynomial that is positive at 0.
fn first_root(coefficients: &[f64], end: f64) -> Option<f64> {
    let roots = roots_in(coefficients, end);
    roots.into_iter().next()
}

/// All sign changes in `(0, end]`, ascending. Between the roots of its derivative a polynomial is monotone, so each interval has
/// at most one, which is found by bisection.
fn roots_in(coefficients: &[f64], end: f64) -> Vec<f64> {
    let trimmed = coefficients.iter().rposition(|&c| c != 0.0).map_or(&[][..], |last| &coefficients[..=last]);
    if trimmed.len() < 2 {
        return Vec::new();
    }
    let derivative: Vec<f64> =
        trimmed.iter().enumerate().skip(1).map(|(power, c)| power as f64 * c).collect();
    let mut knots = roots_in(&derivative, end);
    knots.push(end);
    let mut roots = Vec::new();
    let mut low = 0.0;
    for knot in knots {
        let (mut a, mut b) = (low, knot);
        low = knot;
        let rising = evaluate(trimmed, a).0 < 0.0;
        if rising == (evaluate(trimmed, b).0 < 0.0) {
            continue;
        }
        for _ in 0..2 * MAX_ITERATIONS {
            let middle = 0.5 * (a + b);
            if middle <= a || middle >= b {
                break;
            }
            if rising == (evaluate(trimmed, middle).0 < 0.0) { a = middle } else { b = middle }
        }
        roots.push(a);
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_of_a_known_cubic() {
        // (s - 1)(s - 2)(s - 5) = s^3 - 8 s^2 + 17 s - 10
        let roots = roots_in(&[-10.0, 17.0, -8.0, 1.0], 10.0);
        assert_eq!(roots.len(), 3, "{roots:?}");
        for (root, truth) in roots.iter().zip([1.0, 2.0, 5.0]) {
            assert!((root - truth).abs() < 1e-12, "{roots:?}");
        }
        assert_eq!(roots_in(&[-10.0, 17.0, -8.0, 1.0], 1.5).len(), 1);
    }

    #[test]
    fn a_barrel_folds_where_its_slope_vanishes() {
        // r (1 - 0.3 r^2) has slope 1 - 0.9 r^2.
        let radial = Radial::new(&[-0.3], &[], f64::INFINITY);
        assert!((radial.limit - (1.0_f64 / 0.9).sqrt()).abs() < 1e-12);
        assert!(radial.distort(DVec2::new(1.1, 0.0)).is_none());
        // The largest distorted radius is 2/3 of the limit.
        assert!(radial.undistort(DVec2::new(0.71, 0.0)).is_none());
        let back = radial.undistort(DVec2::new(0.0, 0.5)).map(|p| p.y);
        assert!(back.is_some_and(|r| (r * (1.0 - 0.3 * r * r) - 0.5).abs() < 1e-14), "{back:?}");
    }
}
