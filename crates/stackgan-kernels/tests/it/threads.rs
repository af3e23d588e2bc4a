//! The number of threads does not change any bit.

use candle_core::{DType, Result, Tensor};
use stackgan_kernels::{Activation, Maps, Statistics, activate};

use crate::common::{OF_BATCH, bits, norm, normal, outcome, plain, running, up_conv};

fn check(what: &str, inputs: &[Tensor], f: impl Fn(&[Tensor]) -> Result<Tensor> + Sync) {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let outcome = outcome(inputs, DType::F32, &f);
            let mut all = bits(&outcome.y);
            outcome.gradients.iter().for_each(|gradient| all.extend(bits(gradient)));
            all
        })
    };
    let one = run(1);
    for threads in [2, 3, 4] {
        assert!(run(threads) == one, "{what}: {threads} threads differ from one");
    }
}

#[test]
fn up_blocks() {
    for (x, cout) in [((5, 32, 8, 8), 24), ((2, 16, 40, 40), 8), ((3, 150, 4, 4), 130)] {
        let inputs = [normal(x, 82), normal((cout, x.1, 3, 3), 83)];
        check(&format!("{x:?} {cout}"), &inputs, |t| up_conv(&t[0], &t[1]));
    }
}

#[test]
fn the_others() {
    for x in [normal((150, 133), 84), normal((9, 700), 85)] {
        let c = x.dims()[1];
        let inputs = [x, normal(c, 86), normal(c, 87)];
        for (statistics, activation) in
            [(OF_BATCH, Activation::LeakyRelu(0.2)), (Statistics::Running, Activation::Relu)]
        {
            check(&format!("batch norm, {statistics:?}"), &inputs, |t| {
                norm(&t[1], &t[2], &running(c), 1e-5, activation).apply(&t[0], statistics)
            });
        }
        check("activate", &inputs[..1], |t| activate(&t[0], Activation::Relu));
    }
}

/// Tests every convolution algorithm for maps, with few tiles and with many.
#[test]
fn maps() {
    for (x, w, stride, padding) in [
        ((7, 3, 32, 32), (16, 3, 4, 4), 2, 1),
        ((3, 16, 32, 32), (3, 16, 3, 3), 1, 1),
        ((5, 64, 8, 8), (96, 64, 4, 4), 2, 1),
        ((9, 40, 64, 64), (24, 40, 4, 4), 2, 1),
        ((5, 96, 4, 4), (1, 96, 4, 4), 4, 0),
        ((4, 80, 4, 4), (120, 80, 3, 3), 1, 1),
        ((9, 20, 32, 32), (40, 20, 3, 3), 1, 1),
        ((3, 40, 16, 16), (24, 40, 1, 1), 1, 0),
        ((2, 1024, 4, 4), (2048, 1024, 4, 4), 2, 1),
        ((7, 20, 17, 19), (40, 20, 3, 3), 1, 0),
        ((5, 40, 9, 9), (24, 40, 1, 7), 1, 0),
    ] {
        let inputs = [normal(x, 91), normal(w, 92)];
        let filter = plain(stride, padding);
        check(&format!("maps {x:?} {w:?}"), &inputs, |t| {
            let y = Maps::enter(&t[0])?.conv(&t[1], filter)?;
            y.activate(Activation::LeakyRelu(0.2))?.add_activate(&y, Activation::Relu)?.leave()
        });
    }
}
