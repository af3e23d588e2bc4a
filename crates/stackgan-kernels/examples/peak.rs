//! Measures what this machine can do in f32: multiply-adds in registers only, and a large product
//! by the `gemm` crate, on one thread and on all. Prints one JSON line in GF/s, where a
//! multiply-add counts as two. `cargo xtask bench` prints every measurement as a share of it.
#![allow(clippy::print_stdout, reason = "a benchmark prints")]
#![allow(unsafe_code, reason = "functions compiled for newer CPUs, and the gemm crate")]

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

use gemm::Parallelism;

/// Rounds of the multiply-add loop in one trial, which takes some tens of milliseconds.
const ROUNDS: u64 = 6_000_000;
/// Number of trials. The best one counts, because a limit is what was reached once.
const TRIALS: usize = 5;
/// Number of independent sums: more than the product of latency and throughput of any CPU with
/// these instructions.
const SUMS: usize = if cfg!(target_arch = "aarch64") { 24 } else { 12 };
/// Side of the square matrices.
const SIDE: usize = 1536;

/// Runs `rounds` rounds. Returns the number of operations and the instructions used.
fn multiply_adds(rounds: u64) -> (f64, &'static str) {
    let work = |lanes: usize| rounds as f64 * (SUMS * lanes * 2) as f64;
    #[cfg(target_arch = "x86_64")]
    {
        if std::is_x86_feature_detected!("avx512f") {
            // SAFETY: the CPU has the feature that the function asks for.
            unsafe { x86::avx512(rounds) }
            return (work(16), "avx512f");
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            // SAFETY: the CPU has the features that the function asks for.
            unsafe { x86::avx2(rounds) }
            return (work(8), "avx2");
        }
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("neon") {
        // SAFETY: the CPU has the feature that the function asks for.
        unsafe { arm::neon(rounds) }
        return (work(4), "neon");
    }
    portable(rounds);
    (work(4), "portable")
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::SUMS;
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
    use std::hint::black_box;

    /// The sums start from values that are unknown to the compiler, so that no two of them are
    /// merged.
    macro_rules! rounds {
        ($set:ident, $fmadd:ident, $rounds:ident) => {{
            let start: [f32; SUMS] = black_box(std::array::from_fn(|i| i as f32));
            let (a, b) = ($set(black_box(1.0)), $set(black_box(1e-3)));
            let mut sums = start.map(|s| $set(s));
            for _ in 0..$rounds {
                for sum in &mut sums {
                    *sum = $fmadd(*sum, a, b);
                }
            }
            black_box(sums);
        }};
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn avx512(rounds: u64) {
        rounds!(_mm512_set1_ps, _mm512_fmadd_ps, rounds);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn avx2(rounds: u64) {
        rounds!(_mm256_set1_ps, _mm256_fmadd_ps, rounds);
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use super::SUMS;
    use std::arch::aarch64::{vdupq_n_f32, vfmaq_f32};
    use std::hint::black_box;

    /// As on x86. The sum is multiplied by `a` and added to `b`.
    #[target_feature(enable = "neon")]
    pub(super) fn neon(rounds: u64) {
        let start: [f32; SUMS] = black_box(std::array::from_fn(|i| i as f32));
        let (a, b) = (vdupq_n_f32(black_box(1.0)), vdupq_n_f32(black_box(1e-3)));
        let mut sums = start.map(|s| vdupq_n_f32(s));
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = vfmaq_f32(b, *sum, a);
            }
        }
        black_box(sums);
    }
}

/// Four lanes per sum, with separate multiplication and addition, for the compiler to vectorise for
/// the target.
fn portable(rounds: u64) {
    let (a, b) = (black_box(1.0_f32), black_box(1e-3_f32));
    let mut sums = black_box([[1.0_f32; 4]; SUMS]);
    for _ in 0..rounds {
        for sum in sums.as_flattened_mut() {
            *sum = *sum * a + b;
        }
    }
    black_box(sums);
}

/// Returns the best rate of some trials on `threads` threads that start together, in GF/s.
fn multiply_add_rate(threads: usize) -> f64 {
    // The time is from the first start to the last end, by the threads' own clocks, because the
    // thread that waits for them may be woken late.
    let trial = || {
        let barrier = Barrier::new(threads);
        let work = || {
            barrier.wait();
            let started = Instant::now();
            multiply_adds(ROUNDS);
            (started, Instant::now())
        };
        let times: Vec<(Instant, Instant)> = thread::scope(|scope| {
            let spawned: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            spawned.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let started = times.iter().map(|(started, _)| *started).min();
        let ended = times.iter().map(|(_, ended)| *ended).max();
        started.zip(ended).map_or(f64::INFINITY, |(started, ended)| (ended - started).as_secs_f64())
    };
    let (work, _) = multiply_adds(1);
    (0..TRIALS).map(|_| work * ROUNDS as f64 * threads as f64 / trial() * 1e-9).fold(0., f64::max)
}

/// Returns the best rate of some products of two square matrices, in GF/s.
fn product_rate(parallelism: Parallelism) -> f64 {
    let n = isize::try_from(SIDE).unwrap_or(0);
    let values: Vec<f32> = (0..SIDE * SIDE).map(|i| (i % 1009) as f32 * 1e-3).collect();
    let mut out = vec![0.0_f32; SIDE * SIDE];
    let mut product = || {
        let started = Instant::now();
        // SAFETY: three dense row-major matrices of SIDE x SIDE values; `out` is a unique borrow.
        unsafe {
            gemm::gemm(
                SIDE,
                SIDE,
                SIDE,
                out.as_mut_ptr(),
                1,
                n,
                false,
                values.as_ptr(),
                1,
                n,
                values.as_ptr(),
                1,
                n,
                0.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
        started.elapsed().as_secs_f64()
    };
    let work = 2.0 * (SIDE as f64).powi(3);
    (0..=TRIALS).map(|_| work / product() * 1e-9).fold(0., f64::max)
}

fn main() {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (_, instructions) = multiply_adds(1);
    println!(
        "{{\"instructions\":\"{instructions}\",\"threads\":{threads},\"fma_one\":{:.1},\"fma_all\":{:.1},\
         \"gemm_one\":{:.1},\"gemm_all\":{:.1}}}",
        multiply_add_rate(1),
        multiply_add_rate(threads),
        product_rate(Parallelism::None),
        product_rate(Parallelism::Rayon(threads)),
    );
}
