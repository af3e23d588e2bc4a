//! What can be downloaded: addresses, hashes, and where each file goes.
//!
//! Sources: the download pages of the datasets (Caltech, VGG, COCO) and of `StackGAN`'s authors. The authors' files lie on
//! Google Drive, which hands out old files only with a resource key and often only to a browser.

/// One file of a dataset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct File {
    /// Its name in the dataset's folder.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// Where it comes from.
    pub from: Source,
    /// The most bytes that are taken.
    pub most: u64,
    /// MD5 as published; `None` where none was.
    pub md5: Option<&'static str>,
    /// What to do with it.
    pub then: Then,
}

/// Where a file comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    /// Addresses that a program can read, best first.
    Web(&'static [&'static str]),
    /// Google Drive: a person opens the address in a browser.
    Drive(&'static str),
}

/// What is done with a whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It is used as it is.
    Keep,
    /// A gzipped tar archive, which is unpacked beside it: the folder that appears, and the most bytes in it.
    Unpack(&'static str, u64),
    /// A zip archive, which a person unpacks.
    Unzip,
}

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// CUB-200-2011 as `StackGAN` uses it.
pub(crate) const CUB: &[File] = &[
    File {
        name: "CUB_200_2011.tgz",
        what: "11,788 pictures of birds",
        from: Source::Web(&[
            "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
            "http://www.vision.caltech.edu/visipedia-data/CUB-200-2011/CUB_200_2011.tgz",
        ]),
        most: 2 * GIB,
        md5: Some("97eceeb196236b17998738112f37df78"),
        then: Then::Unpack("CUB_200_2011", 4 * GIB),
    },
    File {
        name: "birds.zip",
        what: "the authors' embeddings, file lists and captions",
        from: Source::Drive(
            "https://drive.google.com/uc?export=download&id=0B3y_msrWZaXLT1BZdVdycDY5TEE&resourcekey=0-sZrhftoEfdvHq6MweAeCjA",
        ),
        most: 4 * GIB,
        md5: None,
        then: Then::Unzip,
    },
];

/// Oxford-102 as `StackGAN` uses it.
pub(crate) const OXFORD: &[File] = &[
    File {
        name: "102flowers.tgz",
        what: "8,189 pictures of flowers",
        from: Source::Web(&["https://www.robots.ox.ac.uk/~vgg/data/flowers/102/102flowers.tgz"]),
        most: GIB,
        md5: Some("52808999861908f626f3c1f4e79d11fa"),
        then: Then::Unpack("jpg", 2 * GIB),
    },
    File {
        name: "imagelabels.mat",
        what: "the class of each picture",
        from: Source::Web(&["https://www.robots.ox.ac.uk/~vgg/data/flowers/102/imagelabels.mat"]),
        most: MIB,
        md5: Some("e0620be6f572b9609742df49c70aed4d"),
        then: Then::Keep,
    },
    File {
        name: "setid.mat",
        what: "the official split",
        from: Source::Web(&["https://www.robots.ox.ac.uk/~vgg/data/flowers/102/setid.mat"]),
        most: MIB,
        md5: Some("a5357ecc9cb78c4bef273ce3793fc85c"),
        then: Then::Keep,
    },
    File {
        name: "flowers.zip",
        what: "the authors' embeddings, file lists and captions",
        from: Source::Drive(
            "https://drive.google.com/uc?export=download&id=0B3y_msrWZaXLaUc0UXpmcnhaVmM&resourcekey=0-jxKV2PqKHFdfLN7Q93SuxQ",
        ),
        most: 4 * GIB,
        md5: None,
        then: Then::Unzip,
    },
];

/// COCO 2014. No hashes are published for these.
pub(crate) const COCO: &[File] = &[
    File {
        name: "train2014.zip",
        what: "82,783 training pictures",
        from: Source::Web(&["http://images.cocodataset.org/zips/train2014.zip"]),
        most: 16 * GIB,
        md5: None,
        then: Then::Unzip,
    },
    File {
        name: "val2014.zip",
        what: "40,504 validation pictures",
        from: Source::Web(&["http://images.cocodataset.org/zips/val2014.zip"]),
        most: 8 * GIB,
        md5: None,
        then: Then::Unzip,
    },
    File {
        name: "annotations_trainval2014.zip",
        what: "captions",
        from: Source::Web(&[
            "http://images.cocodataset.org/annotations/annotations_trainval2014.zip",
        ]),
        most: GIB,
        md5: None,
        then: Then::Unzip,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_hashes_are_md5() {
        for file in [CUB, OXFORD, COCO].concat() {
            assert!(
                !file.name.contains(['/', '\\']) && !file.name.starts_with('.'),
                "{}",
                file.name
            );
            let hex = |md5: &str| md5.len() == 32 && md5.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(file.md5.is_none_or(hex), "{}", file.name);
            if let Source::Drive(address) = file.from {
                assert!(address.contains("resourcekey="), "{}", file.name);
            }
        }
    }
}
