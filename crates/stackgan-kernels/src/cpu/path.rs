//! Which instructions a product uses.

use std::sync::OnceLock;

/// An instruction set that products are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Path {
    /// Those that this CPU has, best first.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        let all = [
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, std::is_x86_feature_detected!("avx512f")),
            #[cfg(target_arch = "x86_64")]
            (
                Self::Avx2,
                std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma"),
            ),
            (Self::Portable, true),
        ];
        all.into_iter().filter_map(|(path, available)| available.then_some(path))
    }

    /// The best of this CPU.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Path> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().next().unwrap_or(Self::Portable))
    }
}
