//! The instruction sets that products can use.

use std::sync::OnceLock;

/// An instruction set for which products are implemented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Portable,
}

impl Path {
    /// Returns the instruction sets that this CPU supports, best first.
    pub(crate) fn available() -> impl Iterator<Item = Self> {
        let all = [
            #[cfg(target_arch = "x86_64")]
            (Self::Avx512, std::is_x86_feature_detected!("avx512f")),
            #[cfg(target_arch = "x86_64")]
            (
                Self::Avx2,
                std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma"),
            ),
            #[cfg(target_arch = "aarch64")]
            (Self::Neon, std::arch::is_aarch64_feature_detected!("neon")),
            (Self::Portable, true),
        ];
        all.into_iter().filter_map(|(path, available)| available.then_some(path))
    }

    /// Returns the best instruction set that this CPU supports.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Path> = OnceLock::new();
        *BEST.get_or_init(|| Self::available().next().unwrap_or(Self::Portable))
    }
}
