//! Operations on all tensors of a network in one call.

use candle_core::{DType, Device, Tensor, Var};
use stackgan_kernels::{
    AdamFactors, AdamStep, AdamUpdate, adam_update_all, average_all, copy_all, count_non_finite,
    squared_norm,
};

use crate::{device, distance, normal};

const COUNTS: [usize; 4] = [1, 17, 16384, 100_003];

fn tensors(device: &Device, sample: u64) -> Vec<Tensor> {
    let each = COUNTS.iter().zip(sample..);
    each.map(|(n, sample)| normal(*n, sample).to_device(device).unwrap()).collect()
}

fn vars(device: &Device, sample: u64) -> Vec<Var> {
    tensors(device, sample).iter().map(|t| Var::from_tensor(t).unwrap()).collect()
}

fn on_cpu(vars: &[Var]) -> Vec<Tensor> {
    vars.iter().map(|v| v.copy().unwrap().to_device(&Device::Cpu).unwrap()).collect()
}

#[test]
fn adam_copies_averages_and_sums_equal_the_cpu_s() {
    let Some(gpu) = device() else { return };
    let run = |device: &Device| {
        let (p, m, v, grads) =
            (vars(device, 0), vars(device, 10), vars(device, 20), tensors(device, 30));
        for v in &v {
            v.set(&v.sqr().unwrap()).unwrap();
        }
        for step in 1..=3 {
            let updates: Vec<AdamUpdate<'_>> = (0..p.len())
                .map(|i| AdamUpdate { p: &p[i], grad: &grads[i], m: &m[i], v: &v[i] })
                .collect();
            let cfg = AdamStep { lr: 1e-3, beta1: 0.5, beta2: 0.999, eps: 1e-8, step };
            adam_update_all(&updates, &AdamFactors::new(cfg, device).unwrap()).unwrap();
        }
        let copies = vars(device, 40);
        let pairs: Vec<(&Var, &Tensor)> =
            copies.iter().zip(&p).map(|(to, from)| (to, from.as_tensor())).collect();
        average_all(&pairs, 0.9).unwrap();
        let averages = on_cpu(&copies);
        copy_all(&pairs).unwrap();
        let all: Vec<&Tensor> = p.iter().map(Var::as_tensor).collect();
        let norm = squared_norm(&all).unwrap().to_scalar::<f32>().unwrap();
        assert_eq!(count_non_finite(&all).unwrap().to_scalar::<f32>().unwrap(), 0.0);
        let mut results = [on_cpu(&p), on_cpu(&m), on_cpu(&v), averages, on_cpu(&copies)].concat();
        results.push(Tensor::new(&[norm], &Device::Cpu).unwrap());
        results
    };
    for (i, (found, expected)) in run(&gpu).iter().zip(&run(&Device::Cpu)).enumerate() {
        let distance = distance(found, expected);
        assert!(distance < 1e-4, "{i}, {:?}: {distance:.1e}", found.dims());
    }
}

/// A kernel would read it beyond its end, or as other numbers.
#[test]
fn a_gradient_of_another_type_is_an_error() {
    let Some(gpu) = device() else { return };
    let (p, m, v) = (vars(&gpu, 0), vars(&gpu, 10), vars(&gpu, 20));
    let before = on_cpu(&p);
    let wide = |t: Tensor| t.to_dtype(DType::F64).unwrap().to_device(&gpu).unwrap();
    let grads: Vec<Tensor> = tensors(&Device::Cpu, 30).into_iter().map(wide).collect();
    let updates: Vec<AdamUpdate<'_>> = (0..p.len())
        .map(|i| AdamUpdate { p: &p[i], grad: &grads[i], m: &m[i], v: &v[i] })
        .collect();
    let cfg = AdamStep { lr: 1e-3, beta1: 0.5, beta2: 0.999, eps: 1e-8, step: 1 };
    let factors = AdamFactors::new(cfg, &gpu).unwrap();
    let error = adam_update_all(&updates, &factors).unwrap_err().to_string();
    assert!(error.contains("expected f32 values"), "{error}");
    for (before, after) in before.iter().zip(&on_cpu(&p)) {
        assert_eq!(distance(after, before), 0.0);
    }
}

#[test]
fn a_value_that_is_no_number_is_counted_wherever_it_is() {
    let Some(gpu) = device() else { return };
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for at in [0, 16_384, 99_999] {
            let mut values = vec![1e38f32; 100_000];
            values[at] = bad;
            let tensor = Tensor::from_vec(values, 100_000, &gpu).unwrap();
            let small = Tensor::new(&[1f32], &gpu).unwrap();
            let count = count_non_finite(&[&small, &tensor]).unwrap().to_scalar::<f32>().unwrap();
            assert_eq!(count, 1.0);
        }
    }
}
