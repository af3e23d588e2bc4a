//! Operations without a gradient, and padding that differs from side to side.

use candle_core::{DType, Device, Result, Tensor};
use proptest::prelude::{ProptestConfig, prop_assume, proptest};
use stackgan_kernels::{Padding, bias_clamp, conv2d, depthwise_conv2d, reference};

use crate::common::{assert_close, assert_twins, bits, normal};

/// The fast form in f32 beside its twin in f64.
fn check(what: &str, inputs: [Tensor; 2], f: impl Fn(&Tensor, &Tensor) -> Result<Tensor>) {
    let [x, w] = inputs;
    let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
    let found = f(&x, &w).unwrap();
    assert_close(&found, &f(&wide(&x), &wide(&w)).unwrap(), 1e-5, what);
}

#[test]
fn depthwise_layers_of_classifiers() {
    for (h, k, stride) in [(112, 3, 1), (112, 3, 2), (56, 5, 2), (14, 5, 1), (14, 3, 2), (7, 3, 1)]
    {
        let padding = Padding::same((h, h), k, stride);
        let inputs = [normal((2, 5, h, h), 1), normal((5, 1, k, k), 2)];
        check(&format!("{h} {k} {stride}"), inputs, |x, w| {
            let y = depthwise_conv2d(x, w, stride, padding)?;
            assert_eq!(y.dims(), [2, 5, h.div_ceil(stride), h.div_ceil(stride)]);
            Ok(y)
        });
    }
}

#[test]
fn same_is_tensorflows() {
    let sides = |p: Padding| (p.top, p.bottom, p.left, p.right);
    assert_eq!(sides(Padding::same((224, 225), 3, 2)), (0, 1, 1, 1));
    assert_eq!(sides(Padding::same((56, 56), 5, 2)), (1, 2, 1, 2));
    assert_eq!(sides(Padding::same((7, 7), 1, 1)), (0, 0, 0, 0));
    assert_eq!(sides(Padding::same((5, 5), 1, 3)), (0, 0, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_padding(
        h in 1usize..9, w in 1usize..9, kh in 1usize..5, kw in 1usize..5, stride in 1usize..4,
        top in 0usize..4, bottom in 0usize..4, left in 0usize..4, right in 0usize..4,
    ) {
        prop_assume!(kh <= h + top + bottom && kw <= w + left + right);
        let padding = Padding { top, bottom, left, right };
        let what = format!("{h}x{w}, {kh}x{kw}, {stride}, {padding:?}");
        let inputs = [normal((2, 3, h, w), 1), normal((4, 3, kh, kw), 2)];
        assert_twins(
            &what,
            &inputs,
            |t| conv2d(&t[0], &t[1], stride, padding),
            |t| reference::conv2d(&t[0], &t[1], stride, padding),
        );
        let inputs = [normal((2, 3, h, w), 3), normal((3, 1, kh, kw), 4)];
        check(&what, inputs, |x, w| depthwise_conv2d(x, w, stride, padding));
    }
}

#[test]
fn bias_and_rectifiers() {
    let inputs = || [normal((2, 3, 5, 7), 5), normal(3, 6)];
    for (low, high) in [(0., 6.), (0., f32::INFINITY), (-0.5, 0.5)] {
        check("bias_clamp", inputs(), |x, b| bias_clamp(x, b, low, high));
    }
    let [x, b] = inputs();
    let all = bias_clamp(&x, &b, f32::NEG_INFINITY, f32::INFINITY).unwrap();
    assert_eq!(bits(&all), bits(&x.broadcast_add(&b.reshape((1, 3, 1, 1)).unwrap()).unwrap()));
    let nan = Tensor::full(f32::NAN, (1, 3, 1, 1), &Device::Cpu).unwrap();
    let y = bias_clamp(&nan, &b, 0., 6.).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert!(y.iter().all(|v| v.is_nan()));
}

#[test]
fn wrong_tensors_are_errors_with_their_shapes() {
    let t = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let x = t(&[2, 3, 4, 4]);
    for w in [t(&[3, 2, 3, 3]), t(&[4, 1, 3, 3]), t(&[3, 1, 7, 3]), t(&[3, 3])] {
        for result in [depthwise_conv2d(&x, &w, 1, 1), reference::depthwise_conv2d(&x, &w, 1, 1)] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(&format!("{:?}", w.dims())), "{error}");
        }
    }
    assert!(bias_clamp(&x, &t(&[2]), 0., 1.).unwrap_err().to_string().contains("[2]"));
    assert!(bias_clamp(&x, &t(&[3]), 1., 0.).is_err());
    assert!(bias_clamp(&x, &t(&[3]), f32::NAN, 1.).is_err());
}
