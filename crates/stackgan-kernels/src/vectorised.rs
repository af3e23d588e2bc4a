//! Plain loops, compiled once per vector width and chosen at run time.
//!
//! The program is built for a baseline CPU. A loop wrapped in `vectorised!` is compiled again with
//! AVX2 and with AVX-512 enabled. The compiler neither fuses nor reorders floating-point
//! operations, so all versions give the same bits.

/// Declares functions whose bodies are compiled for several instruction sets.
macro_rules! vectorised {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block)+) => {$(
        $(#[$meta])*
        #[allow(unsafe_code, reason = "calls of functions for features that the CPU has")]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn portable($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    portable($($arg),*)
                }
                #[target_feature(enable = "avx2")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    portable($($arg),*)
                }
                if std::is_x86_feature_detected!("avx512f")
                    && std::is_x86_feature_detected!("avx512vl")
                    && std::is_x86_feature_detected!("avx512dq")
                    && std::is_x86_feature_detected!("avx512bw")
                {
                    // SAFETY: the CPU has the four features that the function requires.
                    return unsafe { avx512($($arg),*) };
                }
                if std::is_x86_feature_detected!("avx2") {
                    // SAFETY: the CPU has the feature that the function requires.
                    return unsafe { avx2($($arg),*) };
                }
            }
            portable($($arg),*)
        }
    )+};
}

pub(crate) use vectorised;
