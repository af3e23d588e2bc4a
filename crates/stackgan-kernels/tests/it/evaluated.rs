//! Operations for networks that measure: kernels and padding of every kind, depthwise convolutions,
//! bounds, pools, concatenated maps. Compared with the same operations in f64, which candle
//! computes.

use candle_core::{DType, Device, Result, Tensor, Var};
use proptest::prelude::{ProptestConfig, prop_assume, proptest};
use stackgan_kernels::{Clamp, Filter, Maps, Padding, Pool};

use crate::common::{assert_close, assert_twins, bits, conv, normal, plain};

/// Compares the fast form in f32 with its reference in f64.
fn check(what: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    check_within(1e-5, what, inputs, f);
}

/// The same with a tolerance, relative to the largest result.
fn check_within(
    tolerance: f64,
    what: &str,
    inputs: &[Tensor],
    f: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let wide: Vec<Tensor> = inputs.iter().map(|t| t.to_dtype(DType::F64).unwrap()).collect();
    let found = f(inputs).unwrap();
    assert_close(&found, &f(&wide).unwrap(), tolerance, what);
}

#[test]
fn depthwise_layers_of_classifiers() {
    for (c, h, k, stride) in [
        (5, 112, 3, 1),
        (17, 112, 3, 2),
        (3, 56, 5, 2),
        (32, 14, 5, 1),
        (5, 14, 3, 2),
        (5, 7, 3, 1),
    ] {
        let padding = Padding::same((h, h), k, stride);
        let (x, weight) = (normal((2, c, h, h), 1), normal((c, 1, k, k), 2));
        let f = |t: &[Tensor]| {
            let weight = weight.to_dtype(t[0].dtype())?;
            let y = conv(&t[0], &weight, Filter::Depthwise { stride, padding })?;
            assert_eq!(y.dims(), [2, c, h.div_ceil(stride), h.div_ceil(stride)]);
            Ok(y)
        };
        assert_twins(&format!("{c} {h} {k} {stride}"), &[x], f, f);
    }
}

/// Gradients of the maps through every kind of classifier layer: pictures, 1x1 kernels, large
/// kernels, depthwise kernels.
#[test]
fn gradients_pass_between_the_bounds() {
    for (input, output, k, stride) in [
        (3, 8, 3, 2),
        (24, 40, 1, 1),
        (20, 16, 3, 1),
        (16, 7, 5, 2),
        (19, 19, 3, 1),
        (34, 34, 5, 2),
    ] {
        let depthwise = input == output;
        let padding = Padding::same((14, 11), k, stride);
        let filter = match depthwise {
            true => Filter::Depthwise { stride, padding },
            false => Filter::Plain { stride, padding },
        };
        let ins = if depthwise { 1 } else { input };
        let weight =
            (normal((output, ins, k, k), 2) * (2.0 / (ins * k * k) as f64).sqrt()).unwrap();
        let bias = normal(output, 3);
        for (low, high) in [(0.0, 2.0), (0.0, f32::INFINITY), (f32::NEG_INFINITY, f32::INFINITY)] {
            let f = |t: &[Tensor]| {
                let (weight, bias) = (weight.to_dtype(t[0].dtype())?, bias.to_dtype(t[0].dtype())?);
                let clamp = Clamp { bias: &bias, low, high };
                Maps::enter(&t[0])?.conv_clamp(&weight, filter, clamp)?.leave()
            };
            let what = format!("{input} to {output}, {k}x{k}, {stride}, {low} to {high}");
            assert_twins(&what, &[normal((2, input, 14, 11), 1)], f, f);
        }
    }
}

#[test]
fn same_is_tensorflows() {
    let sides = |p: Padding| (p.top, p.bottom, p.left, p.right);
    assert_eq!(sides(Padding::same((224, 225), 3, 2)), (0, 1, 1, 1));
    assert_eq!(sides(Padding::same((56, 56), 5, 2)), (1, 2, 1, 2));
    assert_eq!(sides(Padding::same((7, 7), 1, 1)), (0, 0, 0, 0));
    assert_eq!(sides(Padding::same((5, 5), 1, 3)), (0, 0, 0, 0));
    // What no convolution takes is no panic here: a stride of 0 counts as 1.
    assert_eq!(sides(Padding::same((4, 4), 3, 0)), (1, 1, 1, 1));
    assert_eq!(sides(Padding::same((usize::MAX, 1), usize::MAX, 2)).0, usize::MAX / 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_window_and_padding(
        n in 1usize..12, c in 1usize..20, h in 1usize..12, w in 1usize..12,
        kh in 1usize..5, kw in 1usize..5, three in 0usize..2, stride in 1usize..4,
        top in 0usize..4, bottom in 0usize..4, left in 0usize..4, right in 0usize..4,
    ) {
        let (kh, kw, stride) = if three == 1 { (3, 3, 1) } else { (kh, kw, stride) };
        prop_assume!(kh <= h + top + bottom && kw <= w + left + right);
        let padding = Padding { top, bottom, left, right };
        let what = format!("{n}x{c}x{h}x{w}, {kh}x{kw}, {stride}, {padding:?}");
        let inputs = [normal((n, c, h, w), 1), normal((6, c, kh, kw), 2)];
        let filter = Filter::Plain { stride, padding };
        let f = |t: &[Tensor]| conv(&t[0], &t[1], filter);
        assert_twins(&what, &inputs, f, f);
        let (bias, small) = (normal(6, 3), (&inputs[1] * 0.1).unwrap());
        let clamped = |t: &[Tensor]| {
            let clamp = Clamp { bias: &t[2], low: -0.5, high: 2. };
            Maps::enter(&t[0])?.conv_clamp(&t[1], filter, clamp)?.leave()
        };
        // Bounds clamp the largest sums, but the others keep their rounding errors.
        check_within(3e-5, &what, &[inputs[0].clone(), small, bias], clamped);
        let (x, weight) = (normal((n, c, h, w), 3), normal((c, 1, kh, kw), 4));
        let each = |t: &[Tensor]| {
            conv(&t[0], &weight.to_dtype(t[0].dtype())?, Filter::Depthwise { stride, padding })
        };
        assert_twins(&what, &[x], each, each);
    }

    #[test]
    fn any_pool(n in 1usize..4, c in 1usize..20, h in 1usize..9, w in 1usize..9) {
        let x = [normal((n, c, h, w), 5)];
        for pool in [Pool::AverageInside, Pool::AveragePadded, Pool::Largest, Pool::Halve] {
            if pool != Pool::Halve || h.min(w) > 2 {
                let what = format!("{pool:?} of {n}x{c}x{h}x{w}");
                check(&what, &x, |t| Maps::enter(&t[0])?.pool(pool)?.leave());
            }
        }
    }

    #[test]
    fn maps_of_any_widths_joined(n in 1usize..4, widths in proptest::collection::vec(1usize..40, 1..4)) {
        let parts: Vec<Tensor> =
            (1..).zip(&widths).map(|(i, &c)| normal((n, c, 3, 5), i)).collect();
        let maps: Vec<Maps> = parts.iter().map(|x| Maps::enter(x).unwrap()).collect();
        let joined = Maps::join(&maps).unwrap().leave().unwrap();
        assert_eq!(bits(&joined), bits(&Tensor::cat(&parts, 1).unwrap()));
    }
}

#[test]
fn pools_by_hand() -> Result<()> {
    let x = Tensor::arange(1f32, 17.0, &Device::Cpu)?.reshape((1, 1, 4, 4))?; // 1 to 16
    let pooled = |pool| Maps::enter(&x)?.pool(pool)?.leave()?.flatten_all()?.to_vec1::<f32>();
    assert_eq!(pooled(Pool::Halve)?, [11.0]);
    let (corner, near) = (1.0 + 2.0 + 5.0 + 6.0, 1e-6);
    assert_eq!(pooled(Pool::AverageInside)?[0], corner / 4.0);
    assert!((pooled(Pool::AveragePadded)?[0] - corner / 9.0).abs() < near);
    assert!((pooled(Pool::AverageInside)?[5] - 6.0).abs() < near);
    assert!((pooled(Pool::AveragePadded)?[5] - 6.0).abs() < near);
    assert_eq!(pooled(Pool::Largest)?[..4], [6.0, 7.0, 8.0, 8.0]);
    Ok(())
}

#[test]
fn a_nan_stays_a_nan() -> Result<()> {
    let x = Tensor::full(f32::NAN, (1, 3, 1, 1), &Device::Cpu)?;
    let (weight, bias) = (normal((3, 1, 1, 1), 1), normal(3, 2));
    let clamp = Clamp { bias: &bias, low: 0., high: 6. };
    let filter = Filter::Depthwise { stride: 1, padding: 0.into() };
    let y = Maps::enter(&x)?.conv_clamp(&weight, filter, clamp)?.leave()?;
    assert!(y.flatten_all()?.to_vec1::<f32>()?.iter().all(|v| v.is_nan()));
    Ok(())
}

#[test]
fn wrong_tensors_are_errors_with_their_shapes() -> Result<()> {
    let t = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let x = t(&[2, 3, 4, 4]);
    for x in [x.clone(), x.to_dtype(DType::F64)?] {
        let maps = Maps::enter(&x)?;
        for w in [t(&[3, 2, 3, 3]), t(&[4, 1, 3, 3]), t(&[3, 1, 7, 3]), t(&[3, 3])] {
            let filter = Filter::Depthwise { stride: 1, padding: 1.into() };
            let error = maps.conv(&w, filter).unwrap_err().to_string();
            assert!(error.contains(&format!("{:?}", w.dims())), "{error}");
        }
        let clamped = |channels, low, high| {
            let clamp = Clamp { bias: &t(&[channels]), low, high };
            maps.conv_clamp(&t(&[5, 3, 1, 1]), plain(1, 0), clamp).unwrap_err().to_string()
        };
        assert!(clamped(2, 0., 1.).contains("maps of 5 channels, bias [2]"));
        assert!(clamped(5, 1., 0.).contains("around 0, found 1 and 0"));
        assert!(clamped(5, f32::NAN, 1.).contains("found NaN"));
        let small = Maps::enter(&x.narrow(2, 0, 2)?.contiguous()?)?;
        let error = small.pool(Pool::Halve).unwrap_err().to_string();
        assert!(error.contains("3x3 or more, found 2x4"), "{error}");
        assert!(Maps::join(&[maps.clone(), small]).is_err());
    }
    assert!(Maps::join(&[]).is_err());
    Ok(())
}

#[test]
fn what_has_no_gradient_refuses_to_give_one() -> Result<()> {
    let x = Var::from_tensor(&normal((2, 16, 4, 4), 1))?;
    let maps = Maps::enter(&x)?;
    for result in [maps.pool(Pool::Largest), Maps::join(&[maps.clone(), maps.clone()])] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("has no gradient, and its input asks for one"), "{error}");
    }
    let (weight, bias) =
        (Var::from_tensor(&normal((16, 16, 1, 1), 2))?, Var::zeros(16, DType::F32, &Device::Cpu)?);
    for (weight, bias) in
        [(weight.as_tensor(), &bias.detach()), (&weight.detach(), bias.as_tensor())]
    {
        let clamp = Clamp { bias, low: 0., high: 6. };
        let error = maps.conv_clamp(weight, plain(1, 0), clamp).unwrap_err().to_string();
        assert!(error.contains("weight and bias have no gradient"), "{error}");
    }
    let filter = Filter::Depthwise { stride: 1, padding: 0.into() };
    let weight = Var::from_tensor(&normal((16, 1, 1, 1), 4))?;
    let y = maps.conv(&weight, filter)?.leave()?;
    assert!(y.sum_all()?.backward().unwrap_err().to_string().contains("has no gradient"));
    Ok(())
}
