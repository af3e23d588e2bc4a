//! The kinds of dataset folders.

/// The layout of a dataset folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// CUB-200-2011, laid out as in the first release.
    Cub,
    /// Oxford-102.
    Oxford,
    /// COCO 2014.
    Coco,
    /// A user's own pictures and captions.
    Folder,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Cub, Self::Oxford, Self::Coco, Self::Folder];

    /// The name of the kind in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cub => "cub",
            Self::Oxford => "oxford",
            Self::Coco => "coco",
            Self::Folder => "folder",
        }
    }
}
