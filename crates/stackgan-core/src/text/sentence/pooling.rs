//! Pooling: from the vectors of tokens to one vector of the sentence, as `modules.json` and
//! `1_Pooling/config.json` define it.

use candle_core::{Result, Tensor};
use serde::Deserialize;

use super::files::{json, wrong};

/// The folder of the [`PoolingFile`], which is the same for every published encoder.
const POOLING: &str = "1_Pooling";

/// How tokens become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// The first token's vector.
    First,
    /// The mean over the tokens.
    Mean,
    /// The largest value of each dimension.
    Max,
    /// The sum over the tokens, divided by the square root of their number.
    RootMean,
}

/// The modules after the BERT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Modules {
    pub(super) pooling: Pooling,
    /// Whether vectors are scaled to length 1.
    pub(super) unit: bool,
}

/// An entry of `modules.json`.
#[derive(Deserialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

/// The part of the pooling's file that is read.
#[derive(Default, Deserialize)]
#[serde(default)]
struct PoolingFile {
    pooling_mode_cls_token: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

impl Modules {
    /// Reads the modules from their files.
    ///
    /// # Errors
    /// An unknown module, or a pooling that is not supported.
    pub(super) fn read(modules: Option<&[u8]>, pooling: Option<&[u8]>) -> crate::Result<Self> {
        let Some(modules) = modules else {
            return Ok(Self { pooling: Pooling::Mean, unit: false });
        };
        let entries: Vec<Entry> = json("modules.json", modules)?;
        let named = |entry: &Entry| {
            let kind = entry.kind.rsplit('.').next().unwrap_or_default().to_owned();
            (kind, entry.path.clone())
        };
        let kinds: Vec<(String, String)> = entries.iter().map(named).collect();
        let kinds: Vec<(&str, &str)> =
            kinds.iter().map(|(k, p)| (k.as_str(), p.as_str())).collect();
        let unit = match kinds.as_slice() {
            [("Transformer", ""), ("Pooling", POOLING)] => false,
            [("Transformer", ""), ("Pooling", POOLING), ("Normalize", _)] => true,
            others => {
                let found = format!("{others:?}");
                let expected = "Transformer, Pooling in 1_Pooling, and Normalize or nothing";
                return Err(wrong("modules.json", expected, &found));
            }
        };
        let file: PoolingFile = match pooling {
            Some(pooling) => json("1_Pooling/config.json", pooling)?,
            None => return Err(wrong("1_Pooling/config.json", "a file", "none")),
        };
        let pooling = match file {
            PoolingFile { pooling_mode_weightedmean_tokens: true, .. }
            | PoolingFile { pooling_mode_lasttoken: true, .. } => None,
            PoolingFile {
                pooling_mode_cls_token: first,
                pooling_mode_mean_tokens: mean,
                pooling_mode_max_tokens: max,
                pooling_mode_mean_sqrt_len_tokens: root,
                ..
            } => match (first, mean, max, root) {
                (true, false, false, false) => Some(Pooling::First),
                (false, true, false, false) => Some(Pooling::Mean),
                (false, false, true, false) => Some(Pooling::Max),
                (false, false, false, true) => Some(Pooling::RootMean),
                _ => None,
            },
        };
        let expected = "one of the modes cls_token, mean_tokens, max_tokens, mean_sqrt_len_tokens";
        let found = "another, several or none";
        let pooling = pooling.ok_or_else(|| wrong("1_Pooling/config.json", expected, found))?;
        Ok(Self { pooling, unit })
    }
}

/// Returns vectors `(captions, dim)` of `tokens (captions, tokens, dim)`.
///
/// `mask (captions, tokens)` is 1 for tokens and 0 for padding.
pub(super) fn pool(tokens: &Tensor, mask: &Tensor, modules: &Modules) -> Result<Tensor> {
    let present = mask.unsqueeze(2)?;
    let sum = || tokens.broadcast_mul(&present)?.sum(1);
    let count = || mask.sum_keepdim(1);
    let vectors = match modules.pooling {
        Pooling::First => tokens.narrow(1, 0, 1)?.squeeze(1)?,
        Pooling::Mean => sum()?.broadcast_div(&count()?)?,
        Pooling::RootMean => sum()?.broadcast_div(&count()?.sqrt()?)?,
        Pooling::Max => {
            let absent = ((present - 1.0)? * 1e9)?;
            tokens.broadcast_add(&absent)?.max(1)?
        }
    };
    if !modules.unit {
        return Ok(vectors);
    }
    // As in torch's `normalize`, lengths below 1e-12 count as 1e-12.
    let length = vectors.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-12)?;
    vectors.broadcast_div(&length)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn poolings_see_tokens_and_not_what_fills_up() -> Result<()> {
        let tokens = [[[3f32, -4.0], [1.0, -2.0], [100.0, 100.0]]];
        let tokens = Tensor::new(&tokens, &Device::Cpu)?;
        let mask = Tensor::new(&[[1f32, 1.0, 0.0]], &Device::Cpu)?;
        let found = |pooling, unit| -> Result<Vec<f32>> {
            pool(&tokens, &mask, &Modules { pooling, unit })?.flatten_all()?.to_vec1()
        };
        assert_eq!(found(Pooling::First, false)?, [3.0, -4.0]);
        assert_eq!(found(Pooling::First, true)?, [0.6, -0.8]);
        assert_eq!(found(Pooling::Mean, false)?, [2.0, -3.0]);
        assert_eq!(found(Pooling::Max, false)?, [3.0, -2.0]);
        let root = 2f32.sqrt();
        assert_eq!(found(Pooling::RootMean, false)?, [4.0 / root, -6.0 / root]);
        Ok(())
    }

    #[test]
    fn modules_that_are_not_known_are_refused() {
        let entry = |kind: &str, path: &str| {
            format!(
                r#"{{"idx":0,"name":"0","path":"{path}","type":"sentence_transformers.models.{kind}"}}"#
            )
        };
        let read = |kinds: &[(&str, &str)], pooling: &str| {
            let entries: Vec<String> = kinds.iter().map(|(k, p)| entry(k, p)).collect();
            let modules = format!("[{}]", entries.join(","));
            Modules::read(Some(modules.as_bytes()), Some(pooling.as_bytes()))
                .map_err(|e| e.to_string())
        };
        let mean = r#"{"word_embedding_dimension": 8, "pooling_mode_mean_tokens": true}"#;
        let two = [("Transformer", ""), ("Pooling", "1_Pooling")];
        let three = [two[0], two[1], ("Normalize", "2_Normalize")];
        assert_eq!(read(&two, mean), Ok(Modules { pooling: Pooling::Mean, unit: false }));
        assert_eq!(read(&three, mean), Ok(Modules { pooling: Pooling::Mean, unit: true }));
        let first = r#"{"pooling_mode_cls_token": true}"#;
        assert_eq!(read(&three, first).map(|m| m.pooling), Ok(Pooling::First));
        let dense = [two[0], two[1], ("Dense", "2_Dense")];
        for (kinds, pooling) in [
            (&dense[..], mean),
            (&two[..1], mean),
            (&[], mean),
            (&two, "{}"),
            (&two, r#"{"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true}"#),
            (&two, r#"{"pooling_mode_lasttoken": true}"#),
            (&two, "not JSON"),
            (&[two[0], ("Pooling", "../x")], mean),
        ] {
            let error = read(kinds, pooling).unwrap_err();
            assert!(error.contains("expected") && error.contains("do: "), "{error}");
        }
        assert_eq!(
            Modules::read(None, None).unwrap(),
            Modules { pooling: Pooling::Mean, unit: false }
        );
    }
}
