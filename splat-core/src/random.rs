//! Random numbers that depend only on seed, purpose and step, so that a resumed run draws the same ones.

/// SplitMix64 (Steele et al. 2014): ten lines, so that no update of a crate can change the bits.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// Increment of the state per draw.
const STRIDE: u64 = 0x9E37_79B9_7F4A_7C15;

impl Random {
    /// A stream for one purpose at one step.
    #[must_use]
    pub fn new(seed: u64, purpose: u64, step: u32) -> Self {
        let mut random = Self(seed ^ purpose.rotate_left(32) ^ u64::from(step).wrapping_mul(STRIDE));
        random.next_u64();
        random
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STRIDE);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The stream after that many draws of 64 bits (a uniform number takes one, a normal one two), so that threads can share the
    /// sequence of a single stream.
    #[must_use]
    pub fn ahead(&self, draws: u64) -> Self {
        Self(self.0.wrapping_add(STRIDE.wrapping_mul(draws)))
    }

    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform below `n`, which must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.uniform() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// Normal with mean 0 and standard deviation 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A random permutation of 0..n (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ahead_is_the_stream_after_its_draws() {
        let start = Random::new(5, 7, 11);
        let mut drawn = start.clone();
        for draws in 0..20 {
            assert_eq!(start.ahead(draws).next_u64(), drawn.clone().next_u64());
            drawn.uniform();
        }
        let mut normal = start.clone();
        normal.normal();
        assert_eq!(start.ahead(2).next_u64(), normal.next_u64(), "a normal number takes two draws");
    }
}
