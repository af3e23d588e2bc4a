//! Convolutions compared with `Tensor::conv2d` and its derivatives, in f64.

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use stackgan_kernels::reference;

use crate::common::{assert_close, assert_twins, conv, normal, outcome, plain, up_conv, values};

/// Input, weight, stride, padding.
type Case = ((usize, usize, usize, usize), (usize, usize, usize), usize, usize);

fn check_conv(((n, cin, h, w), (cout, kh, kw), stride, padding): Case) {
    let inputs = [normal((n, cin, h, w), 1), normal((cout, cin, kh, kw), 2)];
    assert_twins(
        &format!("{n}x{cin}x{h}x{w} * {cout}x{kh}x{kw} /{stride} +{padding}"),
        &inputs,
        |t| conv(&t[0], &t[1], plain(stride, padding)),
        |t| reference::conv2d(&t[0], &t[1], stride, padding),
    );
}

fn check_up((n, cin, h, w): (usize, usize, usize, usize), cout: usize) {
    let inputs = [normal((n, cin, h, w), 3), normal((cout, cin, 3, 3), 4)];
    assert_twins(
        &format!("up {n}x{cin}x{h}x{w} -> {cout}"),
        &inputs,
        |t| up_conv(&t[0], &t[1]),
        |t| reference::upsample2x_conv3x3(&t[0], &t[1]),
    );
}

#[test]
fn the_shapes_of_the_networks() {
    let cases: [Case; 12] = [
        ((5, 16, 8, 8), (8, 3, 3), 1, 1),
        ((2, 3, 64, 64), (16, 4, 4), 2, 1),
        ((3, 33, 32, 32), (17, 4, 4), 2, 1),
        ((5, 32, 8, 8), (64, 4, 4), 2, 1),
        ((16, 64, 4, 4), (1, 4, 4), 4, 0),
        ((4, 40, 4, 4), (70, 3, 3), 1, 1),
        ((3, 96, 4, 4), (33, 1, 1), 1, 0),
        ((1, 16, 64, 64), (3, 3, 3), 1, 1),
        ((2, 8, 40, 40), (9, 1, 1), 1, 0),
        ((3, 20, 1, 201), (12, 1, 7), 1, 0),
        // Weight gradients in parts by input channels, forward in parts by output channels.
        ((2, 130, 4, 4), (140, 4, 4), 2, 1),
        ((2, 400, 6, 6), (350, 1, 1), 1, 0),
    ];
    cases.into_iter().for_each(check_conv);
}

#[test]
fn awkward_shapes() {
    let cases: [Case; 9] = [
        ((1, 1, 1, 1), (1, 1, 1), 1, 0),
        ((1, 2, 5, 7), (3, 2, 3), 3, 2),
        ((2, 3, 9, 6), (4, 4, 4), 2, 1),
        ((2, 3, 7, 8), (2, 3, 3), 2, 0),
        ((1, 2, 3, 3), (2, 1, 1), 1, 2),
        ((1, 2, 3, 3), (2, 1, 1), 2, 1),
        ((3, 1, 2, 2), (2, 5, 5), 1, 2),
        ((1, 3, 1, 300), (5, 1, 4), 5, 0),
        ((1, 2, 4, 2), (2, 2, 2), 3, 3),
    ];
    cases.into_iter().for_each(check_conv);
}

#[test]
fn up_blocks() {
    for (x, cout) in [
        ((1, 1, 1, 1), 1),
        ((2, 3, 1, 5), 2),
        ((3, 2, 5, 1), 4),
        ((5, 17, 4, 4), 33),
        ((2, 32, 8, 8), 16),
        ((1, 16, 33, 31), 8),
        ((2, 16, 64, 64), 5),
        // Separate gradients, in parts by channels.
        ((2, 130, 4, 4), 140),
        ((16, 128, 8, 8), 128),
    ] {
        check_up(x, cout);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_convolution(
        n in 1usize..6, cin in 1usize..34, cout in 1usize..34, h in 1usize..14, w in 1usize..14,
        kh in 1usize..6, kw in 1usize..6, stride in 1usize..5, padding in 0usize..4,
    ) {
        prop_assume!(kh <= h + 2 * padding && kw <= w + 2 * padding);
        check_conv(((n, cin, h, w), (cout, kh, kw), stride, padding));
    }

    #[test]
    fn any_up_block(
        n in 1usize..6, cin in 1usize..34, cout in 1usize..34, h in 1usize..14, w in 1usize..14,
    ) {
        check_up((n, cin, h, w), cout);
    }
}

#[test]
fn inputs_that_are_not_contiguous() {
    let (x, w) = (normal((3, 5, 8, 6), 5), normal((5, 4, 3, 3), 6));
    let x_t = x.transpose(1, 2).unwrap().narrow(3, 1, 4).unwrap().transpose(1, 2).unwrap();
    let w_t = w.transpose(0, 1).unwrap();
    assert!(!x_t.is_contiguous() && !w_t.is_contiguous());
    let expected =
        reference::conv2d(&x_t.contiguous().unwrap(), &w_t.contiguous().unwrap(), 1, 1).unwrap();
    assert_close(&conv(&x_t, &w_t, plain(1, 1)).unwrap(), &expected, 1e-5, "conv");
    let expected = reference::upsample2x_conv3x3(&x_t, &w_t.contiguous().unwrap()).unwrap();
    assert_close(&up_conv(&x_t, &w_t).unwrap(), &expected, 1e-5, "up-block");
}

/// A gradient that reaches the operation as a broadcast, and an input that is used twice.
#[test]
fn gradients_accumulate() {
    let inputs = [normal((2, 3, 6, 6), 7), normal((3, 3, 3, 3), 8)];
    let twice = |t: &[Tensor]| {
        let y = conv(&t[0], &t[1], plain(1, 1))?;
        let z = conv(&(y + &t[0])?, &t[1], plain(1, 1))?;
        let up = up_conv(&z, &t[1])?.mean((2, 3))?;
        z.mean((2, 3))? + up
    };
    let by_reference = |t: &[Tensor]| {
        let y = reference::conv2d(&t[0], &t[1], 1, 1)?;
        let z = reference::conv2d(&(y + &t[0])?, &t[1], 1, 1)?;
        let up = reference::upsample2x_conv3x3(&z, &t[1])?.mean((2, 3))?;
        z.mean((2, 3))? + up
    };
    assert_twins("used twice", &inputs, twice, by_reference);
}

#[test]
fn wrong_tensors_are_errors_with_their_shapes() {
    let t = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let x = t(&[2, 3, 4, 4]);
    let conv_cases = [
        (t(&[3, 4, 4]), t(&[5, 3, 3, 3]), 1, 1, "[3, 4, 4]"),
        (x.clone(), t(&[5, 4, 3, 3]), 1, 1, "[5, 4, 3, 3]"),
        (x.clone(), t(&[5, 3, 3]), 1, 1, "[5, 3, 3]"),
        (x.clone(), t(&[5, 3, 7, 3]), 1, 1, "[5, 3, 7, 3]"),
        (x.clone(), t(&[5, 3, 3, 3]), 0, 1, "stride 0"),
        (x.clone(), t(&[5, 3, 3, 3]), usize::MAX, 1, "stride"),
        (x.clone(), t(&[5, 3, 3, 3]), 1, usize::MAX, "padding"),
        (t(&[0, 3, 4, 4]), t(&[5, 3, 3, 3]), 1, 1, "[0, 3, 4, 4]"),
        (x.clone(), t(&[0, 3, 3, 3]), 1, 1, "[0, 3, 3, 3]"),
    ];
    for (x, w, stride, padding, part) in conv_cases {
        let found = conv(&x, &w, plain(stride, padding));
        for result in [found, reference::conv2d(&x, &w, stride, padding)] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
    for (w, part) in [(t(&[5, 3, 4, 4]), "[5, 3, 4, 4]"), (t(&[5, 2, 3, 3]), "[5, 2, 3, 3]")] {
        let error = up_conv(&x, &w).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains("[2, 3, 4, 4]"), "{error}");
    }
}

/// The numbers of their values overflow, though one value is all that is in memory.
#[test]
fn convolutions_that_no_memory_holds_are_refused() {
    let one = normal((1, 1, 1, 1), 1);
    let of = |shape: (usize, usize, usize, usize)| one.broadcast_as(shape).unwrap();
    let (many, tall) = (of((usize::MAX / 2, 1, 1, 1)), of((1, 1, usize::MAX, 1)));
    for (x, w) in [(&one, &many), (&tall, &one)] {
        let error = reference::conv2d(x, w, 1, 1).unwrap_err().to_string();
        assert!(error.contains("no memory holds"), "{error}");
    }
}

#[test]
fn other_types_go_to_the_reference() {
    let inputs = [normal((1, 2, 4, 4), 9), normal((3, 2, 3, 3), 10)];
    let found = outcome(&inputs, DType::F64, |t| up_conv(&t[0], &t[1]));
    let expected = outcome(&inputs, DType::F64, |t| reference::upsample2x_conv3x3(&t[0], &t[1]));
    assert_eq!(values(&found.y), values(&expected.y));
    assert_eq!(values(&found.gradients[1]), values(&expected.gradients[1]));
}
