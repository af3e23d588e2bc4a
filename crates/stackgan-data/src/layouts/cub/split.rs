//! The release's split of the 200 classes of CUB-200-2011, for folders without the release's lists.
//!
//! Source: the release's `test/filenames.pickle`, whose pictures are all those of these classes. Its
//! `class_info.pickle` has 36 for 37 (see [`super`]).

use crate::dataset::Split;

const CLASSES: u32 = 200;

/// The classes of the test split, ascending; the other 150 are for training.
#[rustfmt::skip]
const TEST: [u32; 50] = [
    1, 4, 6, 8, 9, 14, 23, 29, 31, 33, 34, 35, 36, 37, 38, 43, 49, 51, 53, 66, 72, 79, 83, 84, 86,
    91, 95, 96, 98, 101, 102, 103, 112, 114, 119, 121, 130, 135, 138, 147, 156, 163, 165, 166, 180,
    183, 185, 186, 187, 197,
];

/// What is said of a dataset that is split by class.
pub(super) const NOTE: &str = "split by the numbers of the folders, as there is no filenames.pickle: the 50 classes for testing are the release's, and pictures are in the order of images.txt";

/// The split of a class (1 to 200) in the release; `None` if CUB has no such class.
#[must_use]
pub fn split_of_class(class: u32) -> Option<Split> {
    (1..=CLASSES).contains(&class).then(|| match TEST.binary_search(&class) {
        Ok(_) => Split::Test,
        Err(_) => Split::Train,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_classes_is_for_testing() {
        let of = |split| (0..=300).filter(|&class| split_of_class(class) == Some(split)).count();
        assert_eq!((of(Split::Train), of(Split::Test)), (150, 50));
        assert!([0, 201].into_iter().all(|class| split_of_class(class).is_none()));
    }
}
