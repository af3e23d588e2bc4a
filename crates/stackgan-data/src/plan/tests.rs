//! Tests of the plan: purity, coverage of an epoch, wrong pairs.

use super::*;
use std::collections::{BTreeMap, BTreeSet};

const RESIDUAL: PlanConfig = PlanConfig {
    batch: 8,
    size: PictureSize::Stage1,
    offsets: CropOffsets::AsReleased,
    captions: Captions { min: 4, max: 4 },
    wrong: WrongPairs::OtherClass,
    flip: Flip::Half,
};

fn classes(n: usize) -> Vec<u32> {
    (0..n).map(|i| [7, 7, 7, 2, 2, 9][i % 6]).collect()
}

fn plan(n: usize, cfg: PlanConfig, seed: u64) -> Plan {
    Plan::new(&classes(n), &vec![10; n], (0..n).collect(), cfg, Noise::new(seed)).unwrap()
}

#[test]
fn a_step_is_a_pure_function_of_seed_and_step() {
    let reference: Vec<StepPlan> = (0..40).map(|step| plan(50, RESIDUAL, 1).step(step)).collect();
    let shared = plan(50, RESIDUAL, 1);
    for step in (0..40).rev() {
        assert_eq!(shared.step(step), reference[step as usize]);
    }
    assert_ne!(plan(50, RESIDUAL, 2).step(0), reference[0]);
    let far = shared.step(u64::MAX);
    assert_eq!((far.epoch, far.samples.len()), (u64::MAX / 6, 8));
}

#[test]
fn an_epoch_shows_each_picture_at_most_once_and_drops_the_remainder() {
    let plan = plan(50, RESIDUAL, 3);
    assert_eq!(plan.steps_per_epoch(), 6);
    let epoch = |e: u64| -> Vec<usize> {
        let steps = (e * 6..(e + 1) * 6).map(|step| plan.step(step));
        let steps = steps.inspect(|step| assert_eq!((step.epoch, step.samples.len()), (e, 8)));
        steps.flat_map(|step| step.samples).map(|sample| sample.view.image).collect()
    };
    for e in 0..5 {
        assert_eq!(epoch(e).iter().collect::<BTreeSet<_>>().len(), 48);
        assert_ne!(epoch(e), epoch(e + 1));
    }
}

#[test]
fn indices_are_those_of_the_file_and_rows_those_of_the_picture() {
    let counts: Vec<usize> = (0..40).map(|i| 1 + i % 7).collect();
    let indices: Vec<usize> = (10..40).step_by(2).collect();
    let starts: Vec<usize> = (0..40).map(|i| counts[..i].iter().sum()).collect();
    let cfg = PlanConfig { captions: Captions { min: 1, max: 4 }, batch: 5, ..RESIDUAL };
    let plan = Plan::new(&classes(40), &counts, indices.clone(), cfg, Noise::new(4)).unwrap();
    let mut sizes = BTreeSet::new();
    for sample in (0..300).flat_map(|step| plan.step(step).samples) {
        let i = sample.view.image;
        assert!(indices.contains(&i) && indices.contains(&sample.wrong.unwrap().image));
        let rows: BTreeSet<_> = sample.captions.iter().copied().collect();
        assert_eq!(rows.len(), sample.captions.len()); // without replacement
        assert!(rows.iter().all(|row| (starts[i]..starts[i] + counts[i]).contains(row)));
        assert!(rows.len() <= counts[i].min(4) && !rows.is_empty());
        sizes.insert(rows.len());
    }
    assert_eq!(sizes, BTreeSet::from([1, 2, 3, 4]));
}

#[test]
fn four_captions_of_ten_are_drawn_evenly() {
    let plan = plan(48, RESIDUAL, 5);
    let mut seen = [0u32; 10];
    for sample in (0..1500).flat_map(|step| plan.step(step).samples) {
        assert_eq!(sample.captions.len(), 4);
        sample.captions.iter().for_each(|row| seen[row % 10] += 1);
    }
    assert!(seen.iter().all(|n| (4500..5100).contains(n)), "{seen:?}"); // 4800 expected
}

#[test]
fn crops_reach_the_offsets_of_their_rule() {
    for (offsets, size, last) in [
        (CropOffsets::AsReleased, PictureSize::Stage1, 11),
        (CropOffsets::Inclusive, PictureSize::Stage1, 12),
        (CropOffsets::AsReleased, PictureSize::Stage2, 47),
        (CropOffsets::Inclusive, PictureSize::Stage2, 48),
    ] {
        let plan = plan(48, PlanConfig { offsets, size, ..RESIDUAL }, 6);
        let samples: Vec<_> = (0..600).flat_map(|step| plan.step(step).samples).collect();
        let range = |of: &dyn Fn(&SamplePlan) -> usize| {
            let all: BTreeSet<usize> = samples.iter().map(of).collect();
            (*all.first().unwrap(), *all.last().unwrap(), all.len())
        };
        assert_eq!(range(&|s| s.view.x), (0, last, last + 1));
        assert_eq!(range(&|s| s.view.y), (0, last, last + 1));
        assert_eq!(range(&|s| s.wrong.unwrap().x), (0, last, last + 1));
    }
}

#[test]
fn half_of_the_pictures_are_mirrored_and_the_wrong_ones_independently() {
    let samples = |flip| {
        let plan = plan(48, PlanConfig { flip, ..RESIDUAL }, 7);
        (0..500).flat_map(|step| plan.step(step).samples).collect::<Vec<_>>()
    };
    let count = |samples: &[SamplePlan], of: &dyn Fn(&SamplePlan) -> bool| {
        samples.iter().filter(|s| of(s)).count()
    };
    let half = samples(Flip::Half);
    assert!((1850..2150).contains(&count(&half, &|s| s.view.mirrored)));
    assert!((1850..2150).contains(&count(&half, &|s| s.view.mirrored ^ s.wrong.unwrap().mirrored)));
    assert_eq!(count(&samples(Flip::Never), &|s| s.view.mirrored || s.wrong.unwrap().mirrored), 0);
}

#[test]
fn wrong_pictures_are_of_another_class_and_uniform() {
    let classes = classes(48);
    let plan = plan(48, RESIDUAL, 8);
    let mut seen = BTreeMap::<usize, u32>::new();
    for sample in (0..3000).flat_map(|step| plan.step(step).samples) {
        let wrong = sample.wrong.unwrap().image;
        assert_ne!(classes[sample.view.image], classes[wrong]);
        if classes[sample.view.image] == 7 {
            *seen.entry(wrong).or_default() += 1;
        }
    }
    // 12,000 samples of class 7 over 24 pictures of other classes.
    assert_eq!(seen.len(), 24);
    assert!(seen.values().all(|n| (400..600).contains(n)), "{seen:?}");
}

/// As in the TensorFlow release, any picture is drawn. If it is of the same class, it is shifted by
/// one number in 100..200 for the whole batch.
#[test]
fn wrong_pictures_as_released() {
    let n = 500;
    let classes = classes(n);
    let cfg = PlanConfig { wrong: WrongPairs::AsReleased, batch: 64, ..RESIDUAL };
    let plan = plan(n, cfg, 9);
    let mut still_same = 0;
    for step in 0..30 {
        let mut shifts = BTreeSet::new();
        for (s, sample) in plan.step(step).samples.into_iter().enumerate() {
            let drawn =
                Noise::new(9).draws(Stream::WrongPair, step, s as u64).below(n as u64) as usize;
            let wrong = sample.wrong.unwrap().image;
            if classes[drawn] == classes[sample.view.image] {
                shifts.insert((wrong + n - drawn) % n);
                still_same += usize::from(classes[wrong] == classes[sample.view.image]);
            } else {
                assert_eq!(wrong, drawn);
            }
        }
        assert_eq!(shifts.len(), 1);
        assert!((100..200).contains(shifts.first().unwrap()));
    }
    assert!(still_same > 0); // the release does not check again
    let none = PlanConfig { wrong: WrongPairs::None, ..cfg };
    let none = Plan::new(&classes, &vec![10; n], (0..n).collect(), none, Noise::new(9)).unwrap();
    assert!(none.step(0).samples.iter().all(|sample| sample.wrong.is_none()));
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let new = |classes: &[u32], counts: &[usize], cfg| {
        Plan::new(classes, counts, (0..classes.len()).collect(), cfg, Noise::new(0))
            .err()
            .map(|e| e.to_string())
    };
    let c = classes(8);
    assert_eq!(new(&c, &[10; 8], RESIDUAL), None);
    let large = new(&c[..7], &[10; 7], RESIDUAL).unwrap();
    assert!(large.contains("2 to 7 pictures") && large.contains("optim.batch=7"), "{large}");
    assert!(new(&c[..1], &[10], RESIDUAL).unwrap().contains("too few pictures"));
    assert!(new(&c, &[10; 8], PlanConfig { batch: 1, ..RESIDUAL }).is_some());
    assert!(new(&[4; 8], &[10; 8], RESIDUAL).unwrap().contains("another class"));
    assert!(
        new(&[4; 8], &[10; 8], PlanConfig { wrong: WrongPairs::AsReleased, ..RESIDUAL }).is_none()
    );
    assert!(new(&c, &[10, 10, 0, 10, 10, 10, 10, 10], RESIDUAL).unwrap().contains("picture 2"));
    for (min, max) in [(0, 0), (3, 2), (0, 4)] {
        assert!(
            new(&c, &[10; 8], PlanConfig { captions: Captions { min, max }, ..RESIDUAL }).is_some()
        );
    }
    assert!(
        Plan::new(&c, &[10; 8], vec![0, 1, 2, 3, 4, 5, 6, 8], RESIDUAL, Noise::new(0)).is_err()
    );
}
