//! The split of folders without one: a pure function of a seed, the classes and the number of
//! pictures.

use crate::counted;
use crate::dataset::{Item, Split};
use stackgan_noise::{Noise, Stream};
use std::collections::{BTreeMap, BTreeSet};

/// Minimum number of classes for a split by class; with fewer, too few would be left for training.
const FEWEST_CLASSES: usize = 5;

/// Whether the classes of the items have a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Classes {
    /// Pictures belong to classes.
    Known,
    /// They do, and the names of some classes are captions, which are to be learned.
    AsCaptions,
    /// Each picture has its own number.
    None,
}

/// The note about a dataset that is split, but keeps nothing for testing.
pub(super) fn untested(items: &[Item]) -> Option<String> {
    let tested = items.iter().any(|item| item.split == Split::Test);
    (!tested).then(|| "there are no pictures for testing".to_owned())
}

/// Splits the items. With five or more classes, a fifth of the classes is used for testing, as in
/// the release's class-disjoint splits; otherwise, and if their names are captions, a tenth of the
/// pictures. Returns a sentence that
/// says what was done.
pub(super) fn divide(items: &mut [Item], classes: Classes, seed: u64) -> String {
    let noise = Noise::new(seed);
    let first = |n: usize, share: usize| -> BTreeSet<usize> {
        let order = noise.permutation(Stream::Split, 0, n);
        order.into_iter().take(n / share).map(|i| i as usize).collect()
    };
    let labels: BTreeSet<u32> = items.iter().map(|item| item.class).collect();
    let by_class = classes == Classes::Known && labels.len() >= FEWEST_CLASSES;
    let test = if by_class { first(labels.len(), 5) } else { first(items.len(), 10) };
    let place: BTreeMap<u32, usize> = labels.iter().enumerate().map(|(i, &l)| (l, i)).collect();
    for (i, item) in items.iter_mut().enumerate() {
        let of = if by_class { place.get(&item.class).copied() } else { Some(i) };
        let test = of.is_some_and(|of| test.contains(&of));
        item.split = if test { Split::Test } else { Split::Train };
    }
    if by_class {
        let (n, of) = (test.len(), labels.len());
        format!("the folder says no split: {n} of {of} classes are kept for testing (seed {seed})")
    } else {
        let (n, of) = (test.len(), items.len());
        let why = match classes {
            Classes::Known => format!(
                ", because {} are too few to keep some apart",
                counted(labels.len(), "class")
            ),
            Classes::AsCaptions => ", because names of classes are captions".to_owned(),
            Classes::None => String::new(),
        };
        match n {
            0 => format!(
                "the folder says no split, and of {} none is kept for testing, because they are fewer than ten: `eval` has `--split train`",
                counted(of, "picture")
            ),
            _ => format!(
                "the folder says no split: {n} of {of} pictures are kept for testing (seed {seed}){why}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(classes: &[u32]) -> Vec<Item> {
        let item = |(i, &class): (usize, &u32)| Item {
            key: format!("k{i}"),
            image: "x".into(),
            bounding_box: None,
            class,
            captions: vec!["c".to_owned()],
            split: Split::Train,
        };
        classes.iter().enumerate().map(item).collect()
    }

    fn test_side(items: &[Item]) -> Vec<usize> {
        (0..items.len()).filter(|&i| items[i].split == Split::Test).collect()
    }

    #[test]
    fn a_fifth_of_the_classes_whole() {
        let classes: Vec<u32> = (0..510).map(|i| i % 102).collect();
        let mut a = items(&classes);
        let said = divide(&mut a, Classes::Known, 0);
        assert!(said.contains("20 of 102 classes"), "{said}");
        let side = |split| -> BTreeSet<u32> {
            a.iter().filter(|item| item.split == split).map(|item| item.class).collect()
        };
        assert_eq!((side(Split::Test).len(), side(Split::Train).len()), (20, 82));
        assert!(side(Split::Test).is_disjoint(&side(Split::Train)));
        // The same seed gives the same split, another seed another one.
        let (mut again, mut other) = (items(&classes), items(&classes));
        divide(&mut again, Classes::Known, 0);
        divide(&mut other, Classes::Known, 1);
        assert_eq!(test_side(&again), test_side(&a));
        assert_ne!(test_side(&other), test_side(&a));
    }

    #[test]
    fn few_or_no_classes_are_split_by_picture() {
        let mut few = items(&[1, 2, 3, 4].repeat(10));
        assert!(divide(&mut few, Classes::Known, 3).contains(
            "4 of 40 pictures are kept for testing (seed 3), because 4 classes are too few"
        ));
        assert_eq!(test_side(&few).len(), 4);
        let mut none = items(&(0..40).collect::<Vec<_>>());
        assert!(divide(&mut none, Classes::None, 3).contains("4 of 40 pictures are"));
        assert_eq!(test_side(&none), test_side(&few));
        let mut one = items(&[1]);
        let said = divide(&mut one, Classes::Known, 0);
        assert!(said.contains("of 1 picture none is kept for testing"), "{said}");
        assert_eq!(one[0].split, Split::Train);
    }
}
