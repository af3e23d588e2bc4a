//! The public datasets: addresses, lengths, hashes, and what each file provides.
//!
//! The manifest is compiled in and pins each dataset, so a server can only deliver exactly these
//! bytes.
//!
//! Sources: addresses are those of the datasets' pages and of `torchvision`; lengths and SHA-256 sums are those that TensorFlow Datasets (`url_checksums`) records for the same
//! addresses. The files of `StackGAN`'s authors are on Google Drive, which delivers old files only
//! with a resource key, and only to a browser; no checksums of these files have been published.

use crate::archive::Limits;
use crate::layouts::Kind;

/// A dataset.
#[derive(Clone, Copy, Debug)]
pub struct Set<'a> {
    /// The name used in commands, and of its folder and preset.
    pub name: &'a str,
    /// The full name.
    pub title: &'a str,
    /// The edition of the files. A folder holds files of one edition only.
    pub edition: &'a str,
    /// The layout of its folder.
    pub kind: Kind,
    /// The folders with its pictures, and the number of pictures of the whole dataset.
    pub pictures: (&'a [&'a str], u64),
    /// Its files.
    pub items: &'a [Item<'a>],
}

/// One file of a dataset.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Its name in the dataset's folder, and below the address of a mirror.
    pub name: &'a str,
    /// A short description.
    pub what: &'a str,
    /// Addresses for programs, best first.
    pub web: &'a [&'a str],
    /// Addresses for a browser.
    pub by_hand: &'a [&'a str],
    /// Its exact length in bytes, if known.
    pub size: Option<u64>,
    /// Maximum number of bytes to accept if the length is unknown.
    pub most: u64,
    /// Its SHA-256, if published.
    pub sha256: Option<&'a str>,
    /// Paths in the dataset's folder that exist once the file has been processed: at least one path
    /// of each list.
    pub gives: &'a [&'a [&'a str]],
    /// Other files that readers use (lists, embeddings). They are copied from an already unpacked
    /// folder if it has them.
    pub also: &'a [&'a str],
    /// What to do with the file.
    pub then: Then,
}

/// What to do with a complete file.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// Keep it as it is.
    Keep,
    /// Unpack it within these limits.
    Unpack(Limits),
}

impl Item<'_> {
    /// Maximum number of bytes to accept.
    #[must_use]
    pub fn cap(&self) -> u64 {
        self.size.unwrap_or(self.most)
    }
}

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

const fn limits(bytes: u64, file: u64, entries: usize) -> Then {
    Then::Unpack(Limits { bytes, file, entries })
}

/// The authors' lists and captions, and their pickles, of which the embeddings are the largest
/// (about 1 GB).
const RELEASE: Then = limits(6 * GIB, 3 * GIB, 50_000);

/// CUB-200-2011 as `StackGAN` uses it.
pub const CUB: Set<'static> = Set {
    name: "cub",
    title: "CUB-200-2011",
    edition: "2011",
    kind: Kind::Cub,
    pictures: (&["CUB_200_2011/images"], 11_788),
    items: &[
        Item {
            name: "CUB_200_2011.tgz",
            what: "pictures of birds, with boxes",
            web: &[
                "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
                "http://www.vision.caltech.edu/visipedia-data/CUB-200-2011/CUB_200_2011.tgz",
            ],
            by_hand: &[
                "https://data.caltech.edu/records/65de6-vp158",
                "https://drive.google.com/uc?export=download&id=1hbzc_P1FuxMkcabkgn9ZKinBwW683j45",
            ],
            size: Some(1_150_585_339),
            most: 2 * GIB,
            sha256: Some("0c685df5597a8b24909f6a7c9db6d11e008733779a671760afef78feb49bf081"),
            gives: &[
                &["CUB_200_2011/images"],
                &["CUB_200_2011/images.txt"],
                &["CUB_200_2011/bounding_boxes.txt"],
            ],
            also: &[],
            then: limits(4 * GIB, 64 * MIB, 50_000),
        },
        Item {
            name: "birds.zip",
            what: "captions; and the authors' lists and embeddings, which only a reproduction of the release needs",
            web: &[],
            by_hand: &[
                "https://drive.google.com/uc?export=download&id=0B3y_msrWZaXLT1BZdVdycDY5TEE&resourcekey=0-sZrhftoEfdvHq6MweAeCjA",
                "https://drive.google.com/uc?export=download&id=1MVfYF0qVgKHTQKFdA7lexGWnRIs7Ax9c",
                "https://drive.google.com/uc?export=download&id=1O_LtUP9sch09QH3s_EBAgLEctBQ5JBSJ",
            ],
            size: None,
            most: 4 * GIB,
            sha256: None,
            gives: &[&["text", "text_c10"]],
            also: &["train", "test"],
            then: RELEASE,
        },
    ],
};

/// Oxford-102 as `StackGAN` uses it.
pub const OXFORD: Set<'static> = Set {
    name: "oxford",
    title: "Oxford-102 flowers",
    edition: "2008",
    kind: Kind::Oxford,
    pictures: (&["jpg"], 8_189),
    items: &[
        Item {
            name: "102flowers.tgz",
            what: "pictures of flowers",
            web: &["https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz"],
            by_hand: &["https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"],
            size: Some(344_862_509),
            most: GIB,
            sha256: Some("2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246"),
            gives: &[&["jpg"]],
            also: &[],
            then: limits(2 * GIB, 64 * MIB, 20_000),
        },
        Item {
            name: "imagelabels.mat",
            what: "the class of each picture",
            web: &["https://www.robots.ox.ac.uk/~vgg/data/flowers/102/imagelabels.mat"],
            by_hand: &["https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"],
            size: Some(502),
            most: MIB,
            sha256: Some("4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d"),
            gives: &[&["imagelabels.mat"]],
            also: &[],
            then: Then::Keep,
        },
        Item {
            name: "setid.mat",
            what: "the official split",
            web: &["https://www.robots.ox.ac.uk/~vgg/data/flowers/102/setid.mat"],
            by_hand: &["https://www.robots.ox.ac.uk/~vgg/data/flowers/102/"],
            size: Some(14_989),
            most: MIB,
            sha256: Some("46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd"),
            gives: &[&["setid.mat"]],
            also: &[],
            then: Then::Keep,
        },
        Item {
            name: "flowers.zip",
            what: "the authors' lists, captions and embeddings",
            web: &[],
            by_hand: &[
                "https://drive.google.com/uc?export=download&id=0B3y_msrWZaXLaUc0UXpmcnhaVmM&resourcekey=0-jxKV2PqKHFdfLN7Q93SuxQ",
            ],
            size: None,
            most: 4 * GIB,
            sha256: None,
            gives: &[&["text_c10", "text", "cvpr2016_flowers/text_c10"]],
            also: &["train", "test", "testclasses.txt"],
            then: RELEASE,
        },
    ],
};

/// COCO 2014, with captions.
pub const COCO: Set<'static> = Set {
    name: "coco",
    title: "COCO 2014",
    edition: "2014",
    kind: Kind::Coco,
    pictures: (&["train2014", "val2014"], 123_287),
    items: &[
        Item {
            name: "annotations_trainval2014.zip",
            what: "captions",
            web: &["http://images.cocodataset.org/annotations/annotations_trainval2014.zip"],
            by_hand: &["https://cocodataset.org/#download"],
            size: Some(252_872_794),
            most: GIB,
            sha256: Some("031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009"),
            gives: &[
                &["annotations/captions_train2014.json"],
                &["annotations/captions_val2014.json"],
            ],
            also: &["train", "test"],
            then: limits(4 * GIB, GIB, 100),
        },
        Item {
            name: "val2014.zip",
            what: "40,504 validation pictures",
            web: &["http://images.cocodataset.org/zips/val2014.zip"],
            by_hand: &["https://cocodataset.org/#download"],
            size: Some(6_645_013_297),
            most: 8 * GIB,
            sha256: Some("fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0"),
            gives: &[&["val2014"]],
            also: &[],
            then: limits(8 * GIB, 64 * MIB, 50_000),
        },
        Item {
            name: "train2014.zip",
            what: "82,783 training pictures",
            web: &["http://images.cocodataset.org/zips/train2014.zip"],
            by_hand: &["https://cocodataset.org/#download"],
            size: Some(13_510_573_713),
            most: 16 * GIB,
            sha256: Some("ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775"),
            gives: &[&["train2014"]],
            also: &[],
            then: limits(16 * GIB, 64 * MIB, 100_000),
        },
    ],
};

/// All datasets.
pub const SETS: [&Set<'static>; 3] = [&CUB, &OXFORD, &COCO];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_hashes_are_hashes_and_everything_has_an_address() {
        let hex = |text: Option<&str>| {
            text.is_none_or(|t| {
                t.len() == 64 && t.bytes().all(|b| b"0123456789abcdef".contains(&b))
            })
        };
        for item in SETS.iter().flat_map(|set| set.items) {
            let name = item.name;
            assert!(!name.contains(['/', '\\', ':']) && !name.starts_with('.'), "{name}");
            assert!(hex(item.sha256), "{name}");
            assert!(!item.by_hand.is_empty(), "{name}");
            assert!(item.size.is_none_or(|size| size <= item.most), "{name}");
            assert!(!item.gives.is_empty() && item.gives.iter().all(|any| !any.is_empty()));
            // A file that is downloaded without a question must be known to the byte.
            assert!(item.web.is_empty() || (item.size.is_some() && item.sha256.is_some()));
            for address in item.by_hand.iter().filter(|a| a.contains("id=0B")) {
                assert!(address.contains("resourcekey="), "{name}: old files need one");
            }
        }
    }
}
