//! Why a request is not answered with pictures.

/// The reason why nothing is painted: a status, the field that caused it, and a sentence. It
/// contains no path and no other information about the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, field: &'static str, message: impl Into<String>) -> Self {
        Self { status, field, message: message.into() }
    }
}
