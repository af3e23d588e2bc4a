//! The arguments of `stackgan data`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

/// Datasets.
#[derive(Subcommand, Debug)]
pub(crate) enum Data {
    /// Draw captioned birds, in the layout of CUB-200-2011
    #[command(before_help = "Examples:\n  stackgan data toy --out data/toy\n  \
                             stackgan data toy --out data/toy-small --count 200 --seed 1")]
    Toy {
        /// The folder that is written; it must not exist or be empty
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Pictures
        #[arg(long, default_value_t = 2880, value_name = "N")]
        count: usize,
        /// The seed of everything random
        #[arg(long, default_value_t = 0, value_name = "N")]
        seed: u64,
    },
    /// Download a public dataset, unpack it and import it
    #[command(before_help = "Examples:\n  stackgan data fetch cub\n  \
                             stackgan data fetch oxford --from /mnt/mirror --into data/oxford")]
    Fetch(Fetch),
    /// Turn a dataset folder into prepared files, once
    #[command(before_help = "Examples:\n  stackgan data import data/cub --size 76\n  \
                             stackgan data import data/cub --embeddings data/cub --made-by birds-encoder.safetensors")]
    Import(Import),
    /// Look through a dataset folder or a prepared file for everything that would stop a training run
    #[command(before_help = "Examples:\n  stackgan data check data/toy\n  \
                             stackgan data check data/toy/prepared/prepared-76.safetensors")]
    Check {
        /// A dataset folder or a prepared file
        path: PathBuf,
        /// How the folder is laid out
        #[command(flatten)]
        layout: Layout,
    },
    /// Paint a sheet of pictures with their captions; of a folder also the sources, their boxes and what is taken of them
    #[command(before_help = "Examples:\n  stackgan data preview data/cub --output cub.png\n  \
        stackgan data preview data/toy/prepared/prepared-304.safetensors --output toy.png --count 16")]
    Preview {
        /// A dataset folder or a prepared file
        path: PathBuf,
        /// The PNG that is written; all captions go beside it as text
        #[arg(long, value_name = "FILE")]
        output: PathBuf,
        /// Pictures, evenly spread over the dataset
        #[arg(long, default_value_t = 24, value_name = "N",
              value_parser = clap::value_parser!(u16).range(1..=1024))]
        count: u16,
        /// How the folder is laid out
        #[command(flatten)]
        layout: Layout,
    },
    /// List the captions, one a line, in the order in which an array must have their embeddings
    #[command(
        before_help = "Examples:\n  stackgan data captions data/cub --output embeddings.txt\n  \
                             stackgan data captions data/cub --names"
    )]
    Captions {
        /// A dataset folder or a prepared file
        path: PathBuf,
        /// The names of the pictures instead, by which embeddings can be named
        #[arg(long)]
        names: bool,
        /// The file that is written; stdout unless told
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Download a public dataset, unpack it and import it. What is there already is not fetched again.
#[derive(Args, Clone, Debug)]
pub(crate) struct Fetch {
    /// The dataset
    #[arg(value_enum)]
    pub set: FetchSet,
    /// Its folder; data/SET unless told
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// A mirror: an http address or folder with the set's files, or a folder with the set unpacked
    #[arg(long, value_name = "DIR|URL")]
    pub from: Option<String>,
    /// Fetch nothing: compare what is there with the published hashes, and with those kept when it was unpacked
    #[arg(long, conflicts_with = "from")]
    pub verify: bool,
    /// For which stage it is imported: 76 pixels for Stage-I, 304 for Stage-II
    #[arg(long, value_enum, default_value_t = Sizes::Both)]
    pub size: Sizes,
    /// What happens to pictures without captions; they are refused unless told
    #[arg(long, value_enum)]
    pub uncaptioned: Option<Uncaptioned>,
}

impl Fetch {
    /// The import at the end of a fetch into `dir`.
    pub(crate) fn import(&self, dir: PathBuf) -> Import {
        let kind = match self.set {
            FetchSet::Cub => Kind::Cub,
            FetchSet::Oxford => Kind::Oxford,
            FetchSet::Coco => Kind::Coco,
        };
        let layout =
            Layout { kind: Some(kind), uncaptioned: self.uncaptioned, ..Layout::default() };
        Import {
            dir,
            layout,
            size: self.size,
            out: None,
            embeddings: None,
            made_by: None,
            recipe: None,
            contrast: None,
            damaged: None,
        }
    }
}

/// Datasets that can be fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FetchSet {
    /// CUB-200-2011: 11,788 birds, 1.2 GB
    Cub,
    /// Oxford-102: 8,189 flowers, 0.3 GB
    Oxford,
    /// COCO 2014: 123,287 scenes, 20 GB
    Coco,
}

/// Turn a dataset folder into prepared files.
#[derive(Args, Clone, Debug)]
pub(crate) struct Import {
    /// The dataset folder
    pub dir: PathBuf,
    /// How the folder is laid out
    #[command(flatten)]
    pub layout: Layout,
    /// For which stage: 76 pixels for Stage-I, 304 for Stage-II
    #[arg(long, value_enum, default_value_t = Sizes::Both)]
    pub size: Sizes,
    /// Where the prepared files go; DIR/prepared unless told
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Embeddings of the captions, made elsewhere: the release's pickles, .t7, .npy, .npz, safetensors, or a folder of
    /// them. Training uses them
    #[arg(long, value_name = "FILE|DIR")]
    pub embeddings: Option<PathBuf>,
    /// The encoder that made them: a file, the folder of a sentence encoder, or `hub:OWNER/NAME`. Its vectors of some captions
    /// are compared with theirs; a model trained on them then reads sentences with it
    #[arg(long, value_name = "ENCODER", requires = "embeddings")]
    pub made_by: Option<PathBuf>,
    /// Whose pictures: `residual` bicubic, `plain` bilinear; plain for COCO and residual for others unless told
    #[arg(long, value_enum)]
    pub recipe: Option<Recipe>,
    /// Whether the contrast of each picture is stretched, as the TensorFlow release does; as stored unless told
    #[arg(long, value_enum)]
    pub contrast: Option<Contrast>,
    /// What happens to pictures that cannot be read; they are refused unless told
    #[arg(long, value_enum)]
    pub damaged: Option<Damaged>,
}

/// The published networks, whose pictures are resized in different ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Recipe {
    /// The TensorFlow release
    Residual,
    /// The PyTorch release
    Plain,
}

/// The contrast of prepared pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Contrast {
    /// Colours stay as they are
    AsStored,
    /// Each picture uses the whole range
    AsReleased,
}

/// How a dataset folder is laid out, and what is decided where it does not say. What is not said is as at the folder's
/// last import.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// The kind of the folder; told from its contents unless given
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
    /// Seed of the split into training and test, for folders that have none; 0 unless told
    #[arg(long, value_name = "N")]
    pub split_seed: Option<u64>,
    /// What happens to pictures without captions; they are refused unless told
    #[arg(long, value_enum)]
    pub uncaptioned: Option<Uncaptioned>,
}

impl Layout {
    /// This, and what it does not say from `kept`.
    pub(crate) fn or(self, kept: Self) -> Self {
        Self {
            kind: self.kind.or(kept.kind),
            split_seed: self.split_seed.or(kept.split_seed),
            uncaptioned: self.uncaptioned.or(kept.uncaptioned),
        }
    }
}

/// Kinds of dataset folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// CUB-200-2011 as StackGAN's users have it
    Cub,
    /// Oxford-102 flowers
    Oxford,
    /// COCO 2014
    Coco,
    /// Pictures of your own: NAME.jpg with NAME.txt, or metadata.csv or metadata.jsonl
    Folder,
}

/// Pictures without captions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Uncaptioned {
    /// The folder is refused, with their names
    Refuse,
    /// They are left out
    LeaveOut,
}

/// Pictures that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Damaged {
    /// The folder is refused, with their names
    Refuse,
    /// They are left out
    LeaveOut,
}

/// The sizes of prepared pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sizes {
    /// For Stage-I
    #[value(name = "76")]
    Low,
    /// For Stage-II
    #[value(name = "304")]
    High,
    /// Both
    Both,
}
