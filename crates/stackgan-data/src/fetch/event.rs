//! The events of a fetch. The library prints nothing; programs display these.

/// What is being done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Downloading over the network.
    Downloading,
    /// Computing the hash.
    Checking,
    /// Unpacking; progress counts the archive's bytes.
    Unpacking,
    /// Copying from another folder.
    Copying,
}

impl Doing {
    /// The word for the activity, such as `downloading`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Downloading => "downloading",
            Self::Checking => "checking",
            Self::Unpacking => "unpacking",
            Self::Copying => "copying",
        }
    }
}

/// An event of a fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An activity begins.
    Begin {
        /// The activity.
        doing: Doing,
        /// The file that it concerns.
        file: String,
        /// Total number of bytes, if known.
        total: Option<u64>,
    },
    /// Number of bytes done. The first one after [`Event::Begin`] gives the number done before.
    At(u64),
    /// The activity ended, with this result.
    End(String),
    /// A message: a decision, or a failure that is retried.
    Note(String),
}

/// A function that receives events.
pub type Listener<'a> = dyn FnMut(&Event) + 'a;

/// Formats a size for people, such as `1.2 GB`.
#[must_use]
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}
