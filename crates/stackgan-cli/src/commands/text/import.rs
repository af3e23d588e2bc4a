//! `stackgan text import`: converts published weights of the char-CNN-RNN to an encoder file.

use anyhow::{Context as _, Result};
use stackgan_core::text::TextEncoder as _;
use stackgan_core::text::alphabet::{AlphabetOptions, Case, Unknown};
use stackgan_core::text::state_dict::from_state_dict;
use stackgan_data::formats::{read_bounded, torch_pickle};

use crate::args::{self, LetterCase, TextImport};
use crate::commands::{Context, apart, print, weights, write_file};
use crate::exit::Problem;

/// Reads weights and writes an encoder.
pub(super) fn run(args: &TextImport, context: &Context) -> Result<()> {
    let file = &args.file;
    let place = format!("file: {}", file.display());
    if !file.exists() {
        let expected = "a char-CNN-RNN as .t7, .pth or safetensors";
        let remedy = "check the path";
        return Err(Problem::missing("there is no such file", place, expected, remedy).into());
    }
    apart(&[Some(file)], &[("--out", Some(&args.out))])?;
    let bytes = read_bounded(file, torch_pickle::MAX_FILE)?;
    let tensors = weights::read(&bytes, file, weights::TEXT_ENCODER, &context.device)?;
    drop(bytes);
    let encoder = from_state_dict(tensors, alphabet(args), &context.device)
        .with_context(|| format!("cannot import\n  {place}"))?;
    write_file(&args.out, &encoder.to_bytes()?)?;
    let config = encoder.config();
    context.manner.say(format!(
        "char-CNN-RNN with {:?} of {} units, {} wide, fingerprint {}",
        config.recurrence,
        config.units,
        config.dim,
        encoder.fingerprint().get(..12).unwrap_or_default()
    ));
    print(args.out.display())
}

fn alphabet(args: &TextImport) -> AlphabetOptions {
    AlphabetOptions {
        case: match args.case {
            LetterCase::Lower => Case::Lower,
            LetterCase::Keep => Case::Keep,
        },
        unknown: match args.unknown {
            args::Unknown::ZeroRow => Unknown::ZeroRow,
            args::Unknown::Space => Unknown::Space,
            args::Unknown::Truncate => Unknown::Truncate,
        },
    }
}
