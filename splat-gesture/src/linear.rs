//! Linear algebra for distances between hands, in f64 and in a fixed order of operations.

/// A square matrix by rows.
pub(crate) type Matrix<const N: usize> = Vec<[f64; N]>;

/// Adds `weight` x x^T.
pub(crate) fn add_outer<const N: usize>(matrix: &mut [[f64; N]], x: &[f64; N], weight: f64) {
    for (row, a) in matrix.iter_mut().zip(x) {
        for (sum, b) in row.iter_mut().zip(x) {
            *sum += weight * a * b;
        }
    }
}

/// Lower triangular L with L L^T the symmetric positive matrix given.
pub(crate) fn cholesky<const N: usize>(matrix: &[[f64; N]]) -> Matrix<N> {
    let mut lower = vec![[0.0; N]; N];
    for i in 0..N {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
            lower[i][j] = if i == j {
                (matrix[i][i] - sum).max(1e-12).sqrt()
            } else {
                (matrix[i][j] - sum) / lower[j][j]
            };
        }
    }
    lower
}

/// Inverse of a lower triangular matrix.
pub(crate) fn inverse<const N: usize>(lower: &[[f64; N]]) -> Matrix<N> {
    let mut inverse: Matrix<N> = Vec::with_capacity(N);
    for (i, row) in lower.iter().enumerate() {
        let mut next = [0.0; N];
        for (column, value) in next.iter_mut().enumerate().take(i + 1) {
            let unit = if i == column { 1.0 } else { 0.0 };
            let sum: f64 =
                inverse.iter().zip(row).skip(column).map(|(above, factor)| factor * above[column]).sum();
            *value = (unit - sum) / row[i];
        }
        inverse.push(next);
    }
    inverse
}

/// Sweeps of [`eigen`]; each squares the off-diagonal remainder, so ten are enough.
const SWEEPS: usize = 12;

/// Eigenvalues of a symmetric matrix, greatest first, each with its unit vector (Jacobi's rotations).
pub(crate) fn eigen<const N: usize>(matrix: &[[f64; N]]) -> Vec<(f64, [f64; N])> {
    let mut a = matrix.to_vec();
    // By rows: the eigenvectors so far.
    let mut vectors = vec![[0.0; N]; N];
    for (i, row) in vectors.iter_mut().enumerate() {
        row[i] = 1.0;
    }
    for _ in 0..SWEEPS {
        for p in 0..N {
            for q in p + 1..N {
                if a[p][q].abs() < 1e-300 {
                    continue;
                }
                // The smaller of the two angles that make a[p][q] 0.
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cos = 1.0 / t.hypot(1.0);
                let sin = t * cos;
                for row in &mut a {
                    (row[p], row[q]) = (cos * row[p] - sin * row[q], sin * row[p] + cos * row[q]);
                }
                for rows in [&mut a, &mut vectors] {
                    let (above, below) = rows.split_at_mut(q);
                    for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                        (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
                    }
                }
            }
        }
    }
    let mut pairs: Vec<_> = (0..N).map(|i| (a[i][i], vectors[i])).collect();
    pairs.sort_by(|x, y| y.0.total_cmp(&x.0));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const N: usize = 12;

    /// B B^T of a random B.
    fn symmetric() -> Matrix<N> {
        let mut random = Random::new(3, 5);
        let b: Matrix<N> = (0..N).map(|_| [(); N].map(|()| f64::from(random.normal()))).collect();
        let dot = |x: &[f64; N], y: &[f64; N]| x.iter().zip(y).map(|(x, y)| x * y).sum();
        b.iter().map(|x| std::array::from_fn(|j| dot(x, &b[j]))).collect()
    }

    #[test]
    fn factors_give_the_matrix_back() {
        let matrix = symmetric();
        let lower = cholesky(&matrix);
        let inverse = inverse(&lower);
        for i in 0..N {
            for j in 0..N {
                let product: f64 = (0..N).map(|k| lower[i][k] * lower[j][k]).sum();
                assert!((product - matrix[i][j]).abs() < 1e-9, "{i} {j}: {product} {}", matrix[i][j]);
                let unit: f64 = (0..N).map(|k| inverse[i][k] * lower[k][j]).sum();
                assert!((unit - if i == j { 1.0 } else { 0.0 }).abs() < 1e-7, "{i} {j}: {unit}");
            }
        }
    }

    #[test]
    fn eigenvectors_are_only_stretched() {
        let matrix = symmetric();
        let pairs = eigen(&matrix);
        for ((value, vector), (next, _)) in pairs.iter().zip(pairs.iter().skip(1)) {
            assert!(value >= next);
            let length: f64 = vector.iter().map(|x| x * x).sum();
            assert!((length - 1.0).abs() < 1e-9, "{length}");
            for (row, x) in matrix.iter().zip(vector) {
                let product: f64 = row.iter().zip(vector).map(|(a, x)| a * x).sum();
                assert!((product - value * x).abs() < 1e-9, "{product} {}", value * x);
            }
        }
        let trace: f64 = (0..N).map(|i| matrix[i][i]).sum();
        assert!((pairs.iter().map(|(value, _)| value).sum::<f64>() - trace).abs() < 1e-9);
    }
}
