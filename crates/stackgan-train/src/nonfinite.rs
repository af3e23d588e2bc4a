//! Search for the first non-finite value, with the name of its tensor.

use std::ops::Deref;

use candle_core::{DType, Result, Tensor};
use rayon::prelude::*;
use stackgan_kernels::{locked_values, non_finite};

use crate::Error;

/// Number of values checked at a time: a quarter of a mebibyte.
const PIECE: usize = 1 << 16;

/// The first tensor that holds NaN or an infinity, and that value.
///
/// # Errors
/// When a device fails.
pub(crate) fn first<N: AsRef<str>, T: Deref<Target = Tensor>>(
    tensors: impl IntoIterator<Item = (N, T)>,
) -> Result<Option<(String, f64)>> {
    for (name, tensor) in tensors {
        if let Some(value) = in_tensor(&tensor)? {
            return Ok(Some((name.as_ref().to_owned(), value)));
        }
    }
    Ok(None)
}

/// Training became non-finite at `step`.
pub(crate) fn error(step: u64, term: &str, value: f64) -> Error {
    let remedy = "train in another run folder with a smaller learning rate, or look at the data of this step";
    Error::NonFinite { step, term: term.to_owned(), value, remedy: remedy.to_owned() }
}

fn in_tensor(tensor: &Tensor) -> Result<Option<f64>> {
    let (storage, layout) = tensor.storage_and_layout();
    if let Ok(values) = locked_values(&storage, layout) {
        return Ok(in_values(values));
    }
    drop(storage);
    Ok(in_values(&tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?))
}

fn in_values(values: &[f32]) -> Option<f64> {
    let of_piece = |piece: &[f32]| {
        // One test for the whole chunk, without branches: the usual case runs at memory speed.
        let all = piece.iter().fold(0, |n, v| n + non_finite(*v));
        if all == 0 { None } else { piece.iter().find(|v| !v.is_finite()).copied() }
    };
    let found = if values.len() <= PIECE {
        of_piece(values)
    } else {
        values.par_chunks(PIECE).find_map_first(of_piece)
    };
    found.map(f64::from)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn the_first_bad_value_is_found_wherever_it_is() {
        let n = 3 * PIECE + 17;
        for (at, bad) in [(0, f32::NAN), (PIECE, f32::INFINITY), (n - 1, f32::NEG_INFINITY)] {
            let mut values = vec![1e38f32; n];
            assert_eq!(in_values(&values), None);
            values[at] = bad;
            let found = in_values(&values).unwrap() as f32;
            assert!(found == bad || found.is_nan() && bad.is_nan());
            let whole = Tensor::from_vec(values, n, &Device::Cpu).unwrap();
            let named = first([("a", &whole.zeros_like().unwrap()), ("b", &whole)]).unwrap();
            assert_eq!(named.unwrap().0, "b");
        }
    }

    #[test]
    fn a_view_is_looked_at_as_a_view() {
        let whole = Tensor::new(&[[1f32, f32::NAN], [2.0, 3.0]], &Device::Cpu).unwrap();
        assert!(in_tensor(&whole.narrow(1, 0, 1).unwrap()).unwrap().is_none());
        assert!(in_tensor(&whole.narrow(0, 1, 1).unwrap()).unwrap().is_none());
        assert!(in_tensor(&whole.t().unwrap()).unwrap().is_some());
    }
}
