//! Adam compared with a plain scalar loop in f64.

use candle_core::{DType, Device, Tensor, Var};
use stackgan_kernels::{
    AdamAttempt, AdamFactors, AdamStep, AdamUpdate, adam_update, adam_update_all, reference,
};

use crate::common::{assert_close, bits, normal, values};

const CFG: AdamStep = AdamStep { lr: 2e-4, beta1: 0.5, beta2: 0.999, eps: 1e-8, step: 1 };

fn zeros(t: &Tensor) -> Var {
    Var::zeros(t.shape(), t.dtype(), t.device()).unwrap()
}

/// Returns `p`, `m` and `v` after `steps` steps, following `torch`'s documentation of Adam.
fn by_loop(p: &Tensor, gradients: &[Tensor], cfg: AdamStep) -> [Vec<f64>; 3] {
    let mut p = values(p);
    let (mut m, mut v) = (vec![0.; p.len()], vec![0.; p.len()]);
    for (t, gradient) in gradients.iter().enumerate() {
        for (i, g) in values(gradient).into_iter().enumerate() {
            m[i] = cfg.beta1 * m[i] + (1. - cfg.beta1) * g;
            v[i] = cfg.beta2 * v[i] + (1. - cfg.beta2) * g * g;
            let m_hat = m[i] / (1. - cfg.beta1.powi(t as i32 + 1));
            let v_hat = v[i] / (1. - cfg.beta2.powi(t as i32 + 1));
            p[i] -= cfg.lr * m_hat / (v_hat.sqrt() + cfg.eps);
        }
    }
    [p, m, v]
}

#[test]
fn five_steps() {
    let start = normal((31, 1100), 100);
    let gradients: Vec<Tensor> =
        (0..5).map(|i| (normal((31, 1100), 101 + i) * 10f64.powi(-(i as i32))).unwrap()).collect();
    let expected = by_loop(&start, &gradients, CFG);
    for dtype in [DType::F32, DType::F64] {
        let p = Var::from_tensor(&start.to_dtype(dtype).unwrap()).unwrap();
        let (m, v) = (zeros(&p), zeros(&p));
        for (i, gradient) in gradients.iter().enumerate() {
            let cfg = AdamStep { step: i as u64 + 1, ..CFG };
            adam_update(&p, &gradient.to_dtype(dtype).unwrap(), &m, &v, cfg).unwrap();
        }
        let tolerance = if dtype == DType::F32 { 3e-6 } else { 1e-12 };
        for (found, expected) in [&p, &m, &v].into_iter().zip(&expected) {
            let expected = Tensor::new(expected.as_slice(), &Device::Cpu).unwrap();
            let expected = expected.reshape(found.shape()).unwrap();
            assert_close(found, &expected, tolerance, "adam");
        }
        // Compares the steps themselves, not only the results.
        let moved = values(&(p.as_tensor() - start.to_dtype(dtype).unwrap()).unwrap());
        for (moved, (to, from)) in moved.iter().zip(expected[0].iter().zip(values(&start))) {
            assert!((moved - (to - from)).abs() < 1e-6, "{moved} for {}", to - from);
        }
    }
}

#[test]
fn the_variable_keeps_its_storage_and_graphs_see_the_new_values() {
    let p = Var::from_tensor(&normal(5, 110)).unwrap();
    let alias = p.as_tensor().clone();
    let (m, v) = (zeros(&p), zeros(&p));
    adam_update(&p, &normal(5, 111), &m, &v, CFG).unwrap();
    assert_eq!(bits(&alias), bits(&p));
}

/// The gradient of `p²/2` is `p` itself, here even the same memory.
#[test]
fn a_gradient_that_shares_memory_with_the_parameter() {
    let start = normal(7, 112);
    let found = Var::from_tensor(&start).unwrap();
    let (m, v) = (zeros(&found), zeros(&found));
    adam_update(&found, &found.as_detached_tensor(), &m, &v, CFG).unwrap();
    let expected = Var::from_tensor(&start).unwrap();
    let (m, v) = (zeros(&expected), zeros(&expected));
    reference::adam_update(&expected, &start, &m, &v, CFG).unwrap();
    assert_close(&found, &expected, 1e-6, "shared");
}

/// Tests three variables of uneven lengths. Each of four steps is attempted, undone, attempted
/// again and kept. The result has the bits of four plain steps. During an attempt the parameters
/// have changed and the moments have not.
#[test]
fn an_attempt_is_kept_or_taken_back_to_the_bit() {
    let shapes = [40_000, 17, 1];
    for dtype in [DType::F32, DType::F64] {
        let fresh = |seed| -> Vec<[Var; 3]> {
            let var = |n: usize, i: usize| {
                let p = Var::from_tensor(&normal(n, seed + i as u64).to_dtype(dtype).unwrap());
                let p = p.unwrap();
                let (m, v) = (zeros(&p), zeros(&p));
                [p, m, v]
            };
            shapes.iter().enumerate().map(|(i, n)| var(*n, i)).collect()
        };
        let (plain, tried) = (fresh(120), fresh(120));
        let all = |vars: &[[Var; 3]]| -> Vec<Vec<f64>> {
            vars.iter().flatten().map(|var| values(var)).collect()
        };
        for step in 1..=4 {
            let gradient = |(i, n): (usize, &usize)| {
                normal(*n, 130 + 10 * step + i as u64).to_dtype(dtype).unwrap()
            };
            let grads: Vec<Tensor> = shapes.iter().enumerate().map(gradient).collect();
            let [plain_updates, updates] = [&plain, &tried].map(|vars| -> Vec<AdamUpdate<'_>> {
                let pairs = vars.iter().zip(&grads);
                pairs.map(|([p, m, v], grad)| AdamUpdate { p, grad, m, v }).collect()
            });
            let factors = AdamFactors::new(AdamStep { step, ..CFG }, &Device::Cpu).unwrap();
            let before = all(&tried);
            let attempt = AdamAttempt::new(&updates, &factors).unwrap();
            assert!(all(&tried) != before);
            assert_eq!(attempt.first_non_finite(), None);
            attempt.take_back().unwrap();
            assert!(all(&tried) == before);
            adam_update_all(&plain_updates, &factors).unwrap();
            AdamAttempt::new(&updates, &factors).unwrap().keep().unwrap();
            assert!(all(&tried) == all(&plain), "step {step}");
        }
    }
}

#[test]
fn an_attempt_tells_what_became_no_number() {
    let vars = [normal(9, 150), normal(40_000, 151)].map(|p| Var::from_tensor(&p).unwrap());
    let moments = vars.each_ref().map(|p| [zeros(p), zeros(p)]);
    for bad in [f32::NAN, f32::INFINITY] {
        let mut gradient = vec![1f32; 40_000];
        gradient[30_000] = bad;
        let gradients = [normal(9, 152), Tensor::new(gradient, &Device::Cpu).unwrap()];
        let updates: Vec<AdamUpdate<'_>> = (0..2)
            .map(|i| AdamUpdate {
                p: &vars[i],
                grad: &gradients[i],
                m: &moments[i][0],
                v: &moments[i][1],
            })
            .collect();
        let before = vars.each_ref().map(|p| bits(p));
        let factors = AdamFactors::new(CFG, &Device::Cpu).unwrap();
        let attempt = AdamAttempt::new(&updates, &factors).unwrap();
        let (place, value) = attempt.first_non_finite().unwrap();
        assert_eq!((place, value.is_finite()), (1, false));
        attempt.take_back().unwrap();
        assert!(vars.each_ref().map(|p| bits(p)) == before);
        let wrong = [updates[0], AdamUpdate { grad: &gradients[0], ..updates[1] }];
        assert!(AdamAttempt::new(&wrong, &factors).is_err());
        assert!(vars.each_ref().map(|p| bits(p)) == before, "nothing has moved");
    }
}

#[test]
fn wrong_arguments_are_errors_and_change_nothing() {
    let p = Var::from_tensor(&normal(5, 113)).unwrap();
    let (m, v, before) = (zeros(&p), zeros(&p), bits(&p));
    let g = normal(5, 114);
    assert!(adam_update(&p, &normal(6, 115), &m, &v, CFG).is_err());
    assert!(adam_update(&p, &g, &m, &m, CFG).is_err());
    assert!(adam_update(&p, &g, &p, &v, CFG).is_err());
    assert!(adam_update(&p, &g, &m, &v, AdamStep { step: 0, ..CFG }).is_err());
    let (q, short) = (Var::from_tensor(&normal(5, 116)).unwrap(), zeros(&normal(4, 117)));
    let updates = [
        AdamUpdate { p: &p, grad: &g, m: &m, v: &v },
        AdamUpdate { p: &q, grad: &g, m: &zeros(&q), v: &short },
    ];
    let factors = AdamFactors::new(CFG, p.device()).unwrap();
    assert!(adam_update_all(&updates, &factors).is_err());
    assert_eq!(bits(&p), before);
}
