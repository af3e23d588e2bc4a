//! Linear readouts by ridge regression: least squares with a penalty on the weights, solved by
//! Cholesky decomposition in `f64`.

/// Weights for one target: one per feature, and a constant at the end.
pub(super) type Weights = Vec<f64>;

/// The weights that minimise `sum (w . x + c - y)^2 + penalty * |w|^2`, for each target of `rows`.
///
/// A row is (features, targets). `None` if there are no rows, if they differ in length, or if the
/// system is singular (which a positive penalty prevents).
pub(super) fn fit(rows: &[(Vec<f64>, Vec<f64>)], penalty: f64) -> Option<Vec<Weights>> {
    let (n, targets) = rows.first().map(|(x, y)| (x.len() + 1, y.len()))?;
    if rows.iter().any(|(x, y)| x.len() + 1 != n || y.len() != targets) {
        return None;
    }
    let mut gram = vec![vec![0.0; n]; n];
    let mut moment = vec![vec![0.0; n]; targets];
    for (x, y) in rows {
        let x: Vec<f64> = x.iter().copied().chain([1.0]).collect();
        for (i, (row, xi)) in gram.iter_mut().zip(&x).enumerate() {
            for (g, xj) in row.iter_mut().zip(&x).take(i + 1) {
                *g += xi * xj;
            }
        }
        for (m, y) in moment.iter_mut().zip(y) {
            for (m, x) in m.iter_mut().zip(&x) {
                *m += x * y;
            }
        }
    }
    // The constant is not penalised.
    for (i, row) in gram.iter_mut().enumerate().take(n - 1) {
        if let Some(g) = row.get_mut(i) {
            *g += penalty;
        }
    }
    let factor = cholesky(gram)?;
    Some(moment.into_iter().map(|m| substitute(&factor, m)).collect())
}

/// `w . x + c`.
pub(super) fn predict(weights: &[f64], features: &[f64]) -> f64 {
    let constant = weights.get(features.len()).copied().unwrap_or(0.0);
    weights.iter().zip(features).map(|(w, x)| w * x).sum::<f64>() + constant
}

/// The lower triangular L with L L' = `a`; only the lower triangle of `a` is read. `None` if `a` is
/// not positive definite.
fn cholesky(mut a: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    for i in 0..a.len() {
        let (done, rest) = a.split_at_mut(i);
        let row = rest.first_mut()?;
        for (j, other) in done.iter().enumerate() {
            let dot: f64 = row.iter().zip(other).take(j).map(|(x, y)| x * y).sum();
            *row.get_mut(j)? = (row.get(j)? - dot) / other.get(j)?;
        }
        let square = row.get(i)? - row.iter().take(i).map(|x| x * x).sum::<f64>();
        if square <= 0.0 || square.is_nan() {
            return None;
        }
        *row.get_mut(i)? = square.sqrt();
    }
    Some(a)
}

/// Solves L L' x = b.
fn substitute(l: &[Vec<f64>], mut b: Vec<f64>) -> Vec<f64> {
    for (i, row) in l.iter().enumerate() {
        let dot: f64 = row.iter().zip(&b).take(i).map(|(a, x)| a * x).sum();
        if let (Some(x), Some(d)) = (b.get_mut(i), row.get(i)) {
            *x = (*x - dot) / d;
        }
    }
    for (i, row) in l.iter().enumerate().rev() {
        let below = l.iter().zip(&b).skip(i + 1);
        let dot: f64 = below.map(|(r, x)| r.get(i).copied().unwrap_or(0.0) * x).sum();
        if let (Some(x), Some(d)) = (b.get_mut(i), row.get(i)) {
            *x = (*x - dot) / d;
        }
    }
    b
}

#[cfg(test)]
mod tests {
    use stackgan_noise::{Noise, Stream};

    use super::*;

    #[test]
    fn an_exact_linear_law_is_recovered() {
        let law = [0.5, -2.0, 3.0];
        let rows: Vec<_> = (0..50)
            .map(|i| {
                let x = Noise::new(1).normal(Stream::Test, 0, i, 3);
                let x: Vec<f64> = x.into_iter().map(f64::from).collect();
                let y = x.iter().zip(law).map(|(a, b)| a * b).sum::<f64>() + 7.0;
                (x, vec![y, -y])
            })
            .collect();
        let weights = fit(&rows, 1e-9).unwrap();
        for (w, sign) in weights.iter().zip([1.0, -1.0]) {
            for (got, want) in w.iter().zip([0.5, -2.0, 3.0, 7.0]) {
                assert!((got - sign * want).abs() < 1e-6, "{w:?}");
            }
        }
        assert!((predict(&weights[0], &[1.0, 1.0, 1.0]) - 8.5).abs() < 1e-6);
    }

    #[test]
    fn the_gradient_of_the_penalised_loss_is_zero_at_the_solution() {
        let rows: Vec<_> = (0..20)
            .map(|i| {
                let x = Noise::new(2).normal(Stream::Test, 0, i, 5);
                let x: Vec<f64> = x.into_iter().map(f64::from).collect();
                (x[..4].to_vec(), vec![x[4]])
            })
            .collect();
        let w = fit(&rows, 0.7).unwrap().remove(0);
        let loss = |w: &[f64]| {
            let fit: f64 = rows.iter().map(|(x, y)| (predict(w, x) - y[0]).powi(2)).sum();
            fit + 0.7 * w[..4].iter().map(|w| w * w).sum::<f64>()
        };
        for i in 0..5 {
            let (mut up, mut down) = (w.clone(), w.clone());
            up[i] += 1e-4;
            down[i] -= 1e-4;
            assert!(((loss(&up) - loss(&down)) / 2e-4).abs() < 1e-6);
        }
    }

    #[test]
    fn what_cannot_be_solved_is_none() {
        assert!(fit(&[], 1.0).is_none());
        assert!(fit(&[(vec![1.0], vec![1.0]), (vec![1.0, 2.0], vec![1.0])], 1.0).is_none());
        // Two equal features without a penalty.
        assert!(fit(&[(vec![1.0, 1.0], vec![1.0]), (vec![2.0, 2.0], vec![1.0])], 0.0).is_none());
    }
}
