//! How to read a folder where the folder itself does not say.

/// Decisions about what a folder does not specify.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The seed of the split, if the folder has none.
    pub split_seed: u64,
    /// How to treat pictures without captions.
    pub uncaptioned: Uncaptioned,
}

/// How to treat pictures without captions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uncaptioned {
    /// Reject the folder, listing their names.
    #[default]
    Refuse,
    /// Leave them out, with a note of their number.
    LeaveOut,
    /// Take the name of their class for a caption. Only for [`Kind::Folder`](super::Kind::Folder).
    ClassName,
}

/// The command that leaves pictures without captions out, for remedies: not every command that
/// reads a folder has the option.
pub(crate) const LEAVE_OUT: &str = "`stackgan data import DIR --uncaptioned leave-out`";

/// The command that captions them with the names of their classes.
pub(crate) const CLASS_NAME: &str = "`stackgan data import DIR --uncaptioned class-name`";
