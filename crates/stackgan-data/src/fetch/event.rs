//! What a fetch tells while it runs. The library prints nothing: programs draw these.

/// What is being done with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It comes over the network.
    Downloading,
    /// Its hash is computed.
    Checking,
    /// It is unpacked; counted are the archive's bytes.
    Unpacking,
    /// It is copied from another folder.
    Copying,
}

impl Doing {
    /// The word for it: `downloading`.
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

/// Something that a person might want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Something with a length begins.
    Begin {
        /// What is done.
        doing: Doing,
        /// With which file.
        file: String,
        /// Bytes in all, where that is known.
        total: Option<u64>,
    },
    /// So many bytes are done. The first one after [`Event::Begin`] says how many were done before.
    At(u64),
    /// It is done; what came of it.
    End(String),
    /// A line: what was decided, or what went wrong and is tried again.
    Note(String),
}

/// Who hears of it.
pub type Listener<'a> = dyn FnMut(&Event) + 'a;

/// `1.2 GB`, for lines that a person reads.
#[must_use]
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}
