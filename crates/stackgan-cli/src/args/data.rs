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
        /// The folder to write; it must be new or empty
        #[arg(long, alias = "output", value_name = "DIR")]
        out: PathBuf,
        /// Number of pictures
        #[arg(long, default_value_t = 2880, value_name = "N")]
        count: usize,
        /// The random seed
        #[arg(long, default_value_t = 0, value_name = "N")]
        seed: u64,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Download a public dataset, unpack it and import it
    #[command(before_help = "Examples:\n  stackgan data fetch cub\n  \
                             stackgan data fetch oxford --from /mnt/mirror --into data/oxford")]
    Fetch(Fetch),
    /// Turn Parquet files (Hugging Face) or tars (webdataset) into a folder of captioned pictures
    ///
    /// Pictures stay as they are, byte for byte; captions, classes and splits go into metadata.jsonl.
    /// In Parquet files, pictures and captions are columns; in tars, the files KEY.jpg, KEY.txt,
    /// KEY.json and KEY.cls. If train and test are in the names of files or folders, they become the
    /// split. Then: `stackgan data check DIR`.
    #[command(
        before_help = "Examples:\n  stackgan data unpack train-00000-of-00002.parquet train-00001-of-00002.parquet --out data/mine\n  \
                             stackgan data unpack hub:OWNER/NAME --out data/mine --text caption"
    )]
    Unpack(Unpack),
    /// Turn a dataset folder into prepared files, once
    #[command(before_help = "Examples:\n  stackgan data import data/cub --size 76\n  \
                             stackgan data import data/cub --embeddings data/cub \\\n      --made-by birds-encoder.safetensors")]
    Import(Import),
    /// Check a dataset folder or a prepared file for everything that would stop a training run
    #[command(before_help = "Examples:\n  stackgan data check data/toy\n  \
                             stackgan data check data/toy/prepared/prepared-76.safetensors")]
    Check {
        /// A dataset folder or a prepared file
        path: PathBuf,
        /// The layout of the folder
        #[command(flatten)]
        layout: Layout,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Paint a sheet of pictures with their captions; for a folder also with the source pictures,
    /// their boxes and the crops
    #[command(before_help = "Examples:\n  stackgan data preview data/cub --output cub.png\n  \
        stackgan data preview data/toy/prepared/prepared-304.safetensors \\\n      --output toy.png --count 16")]
    Preview {
        /// A dataset folder or a prepared file
        path: PathBuf,
        /// The PNG file to write; all captions are written beside it as text
        #[arg(long, alias = "out", value_name = "FILE")]
        output: PathBuf,
        /// Number of pictures, spread evenly over the dataset
        #[arg(long, default_value_t = 24, value_name = "N",
              value_parser = clap::value_parser!(u16).range(1..=1024))]
        count: u16,
        /// The layout of the folder
        #[command(flatten)]
        layout: Layout,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// List the captions, one per line, in the order in which an array must have their embeddings
    #[command(
        before_help = "Examples:\n  stackgan data captions data/cub --output embeddings.txt\n  \
                             stackgan data captions data/cub --names"
    )]
    Captions {
        /// A dataset folder or a prepared file
        path: PathBuf,
        /// List the names of the pictures instead, for embeddings that are stored by name
        #[arg(long)]
        names: bool,
        /// The file to write; default: stdout. A model or another file of this program is not
        /// replaced
        #[arg(long, alias = "out", value_name = "FILE")]
        output: Option<PathBuf>,
        /// Print one JSON line for each picture: name, split, class, captions
        #[arg(long, conflicts_with_all = ["names", "output"])]
        json: bool,
    },
}

/// Download a public dataset, unpack it and import it. Existing files are not fetched again.
#[derive(Args, Clone, Debug)]
pub(crate) struct Fetch {
    /// The dataset
    #[arg(value_enum)]
    pub set: FetchSet,
    /// Its folder; default: data/SET
    #[arg(long, aliases = ["out", "output"], value_name = "DIR")]
    pub into: Option<PathBuf>,
    /// A mirror: an http address or a folder with the set's files, or a folder with the unpacked
    /// set
    #[arg(long, value_name = "DIR|URL")]
    pub from: Option<String>,
    /// Fetch nothing; compare the existing files with the published hashes and with those recorded
    /// when the set was unpacked
    #[arg(long, conflicts_with = "from")]
    pub verify: bool,
    /// The stage to import for: 76 pixels for Stage-I, 304 for Stage-II
    #[arg(long, value_enum, default_value_t = Sizes::Both)]
    pub size: Sizes,
    /// How to handle pictures without captions; default: as at the last import, else refuse
    #[arg(long, value_enum)]
    pub uncaptioned: Option<Uncaptioned>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

impl Fetch {
    /// Returns the arguments of the import at the end of a fetch into `dir`.
    pub(crate) fn import(&self, dir: PathBuf) -> Import {
        let kind = match self.set {
            FetchSet::Cub => Kind::Cub,
            FetchSet::Oxford => Kind::Oxford,
            FetchSet::Coco => Kind::Coco,
        };
        let layout =
            Layout { kind: Some(kind), uncaptioned: self.uncaptioned, ..Layout::default() };
        Import { dir, layout, size: self.size, json: self.json, ..Import::default() }
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

/// Turn Parquet files or tars into a folder of captioned pictures.
#[derive(Args, Clone, Debug)]
pub(crate) struct Unpack {
    /// Files (.parquet, .tar, .tar.gz, .tgz), folders with such files, or `hub:OWNER/NAME` for those
    /// of a dataset on the Hugging Face hub
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// The folder to write; it must be new or empty
    #[arg(long, alias = "output", value_name = "DIR")]
    pub out: PathBuf,
    /// The column of pictures; in tars, the extension of their files. Default: the only one
    #[arg(long, value_name = "COLUMN")]
    pub image: Option<String>,
    /// A column of captions; in tars, an extension or a key of KEY.json. Can be repeated, if there
    /// are several; `none` takes no captions, but classes, whose names `data import --uncaptioned
    /// class-name` takes for captions. Default: the only one, by name (text, caption, …) or by kind
    #[arg(long, value_name = "COLUMN")]
    pub text: Vec<String>,
    /// The column of classes; in tars, an extension or a key of KEY.json; `none` leaves classes out.
    /// Default: a column with names of classes, or one named class or label; KEY.cls
    #[arg(long, value_name = "COLUMN")]
    pub class: Option<String>,
    /// How to handle pictures of other formats, and captions that cannot be read; default: refuse
    #[arg(long, value_enum)]
    pub damaged: Option<Damaged>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Turn a dataset folder into prepared files.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Import {
    /// The dataset folder
    pub dir: PathBuf,
    /// The layout of the folder
    #[command(flatten)]
    pub layout: Layout,
    /// The stage to import for: 76 pixels for Stage-I, 304 for Stage-II
    #[arg(long, value_enum, default_value_t = Sizes::Both)]
    pub size: Sizes,
    /// The folder for the prepared files; default: DIR/prepared
    #[arg(long, alias = "output", value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Embeddings of the captions from another program, which training will use: the release's
    /// pickles, .t7, .npy, .npz, safetensors, or a folder of them
    #[arg(long, value_name = "FILE|DIR")]
    pub embeddings: Option<PathBuf>,
    /// The encoder that made them: a file, the folder of a sentence encoder, or `hub:OWNER/NAME`. Its
    /// vectors of some captions are compared with theirs; a model trained on them then reads
    /// sentences with it
    #[arg(long, value_name = "ENCODER", requires = "embeddings")]
    pub made_by: Option<PathBuf>,
    /// The recipe to resize pictures for: `residual` bicubic, `plain` bilinear; default: plain for
    /// COCO, residual for others
    #[arg(long, value_enum)]
    pub recipe: Option<Recipe>,
    /// Whether to stretch the contrast of each picture, as the TensorFlow release does; default: as
    /// at the last import, else as-stored
    #[arg(long, value_enum)]
    pub contrast: Option<Contrast>,
    /// How to make a square of a picture without a box: `squeeze` all of it, as the releases do, or
    /// take the largest square around its `centre`; default: as at the last import, else squeeze
    #[arg(long, value_enum)]
    pub fit: Option<Fit>,
    /// How to handle pictures that cannot be read; default: as at the last import, else refuse
    #[arg(long, value_enum)]
    pub damaged: Option<Damaged>,
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

/// The published recipes, which resize pictures in different ways.
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
    /// Keep the colours
    AsStored,
    /// Stretch each picture to the whole range
    AsReleased,
}

/// How a picture without a box becomes a square.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Fit {
    /// Squeeze all of it, whatever its shape
    Squeeze,
    /// Take the largest square around its centre
    Centre,
}

/// The layout of a dataset folder, and choices that the folder does not determine. Omitted ones are
/// taken from the folder's last import.
#[derive(Args, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// The kind of the folder; default: as at the last import, else detected from its contents
    #[arg(long, value_enum)]
    pub kind: Option<Kind>,
    /// Seed of the split into training and test, for folders without a split; default: as at the
    /// last import, else 0
    #[arg(long, value_name = "N")]
    pub split_seed: Option<u64>,
    /// How to handle pictures without captions, or whose captions cannot be read; default: as at
    /// the last import, else refuse
    #[arg(long, value_enum)]
    pub uncaptioned: Option<Uncaptioned>,
}

impl Layout {
    /// Returns these choices, with omitted ones taken from `kept`.
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
    /// CUB-200-2011 in the layout of StackGAN's users
    Cub,
    /// Oxford-102 flowers
    Oxford,
    /// COCO 2014
    Coco,
    /// Your own pictures: NAME.jpg with NAME.txt, or a table such as metadata.csv
    Folder,
}

/// How to handle pictures without captions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Uncaptioned {
    /// Refuse the folder, with their names
    Refuse,
    /// Leave them out
    LeaveOut,
    /// Take the name of their class, that of their folder or in a table, for up to four captions:
    /// `sunflower`, `a sunflower`, `a photo of a sunflower` and `a picture of a sunflower`
    ClassName,
}

/// How to handle pictures that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Damaged {
    /// Refuse the folder, with their names
    Refuse,
    /// Leave them out
    LeaveOut,
}

/// Sizes of prepared pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sizes {
    /// For Stage-I
    #[value(name = "76")]
    Low,
    /// For Stage-II
    #[value(name = "304")]
    High,
    /// Both
    #[default]
    Both,
}
