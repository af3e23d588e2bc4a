//! Values with all that is needed to compare them: network, hash of its weights, resize, counts,
//! splits.
//!
//! A report belongs to one network, so values of two families cannot appear in one table.

use serde::Serialize;

use crate::bootstrap::Interval;
use crate::features::Network;

/// Number of generated pictures below which a value says little about the model.
pub const FEW: usize = 10_000;

/// Number of pictures on a side below which nearest neighbours are most of that side, and random
/// subsets contain nearly the same pictures.
pub const SCARCE: usize = 100;

/// The network of a report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judge {
    /// Its name.
    pub network: &'static str,
    /// SHA-256 of the published file of its weights, before any import.
    pub weights_sha256: String,
    /// The published file with that hash; `None` for other weights.
    pub published_as: Option<&'static str>,
    /// Number of features of a picture.
    pub features: usize,
    /// The resize algorithm.
    pub resize: &'static str,
    /// The side to which pictures were resized.
    pub side: usize,
}

impl Judge {
    /// Describes a network with weights from a file of this hash.
    #[must_use]
    pub fn new(network: Network, sha256: &str) -> Self {
        Self {
            network: network.name(),
            weights_sha256: sha256.to_owned(),
            published_as: network.published_as(sha256).map(|published| published.file),
            features: network.width(),
            resize: network.resize().name(),
            side: network.side(),
        }
    }

    /// Returns a short description, such as
    /// `inception-fid 6726825d, bilinear (align_corners=False) to 299`.
    #[must_use]
    pub fn line(&self) -> String {
        let hash = self.weights_sha256.get(..8).unwrap_or_default();
        format!("{} {hash}, {} to {}", self.network, self.resize, self.side)
    }
}

/// One measured value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// The option that requested it.
    pub key: &'static str,
    /// The name under which it may be reported.
    pub name: String,
    /// The value.
    pub value: f64,
    /// 95 % bootstrap interval.
    pub interval: Option<Interval>,
    /// Standard deviation over splits, subsets or folds, usually printed after `±`.
    pub std: Option<f64>,
    /// Number of generated pictures.
    pub count: usize,
    /// Number of real pictures; 0 if none are involved.
    pub real: usize,
    /// Other parameters: splits, subsets, neighbours.
    pub how: String,
    /// A short description of the network. It is on every line, so that a copied line still
    /// contains it.
    pub by: String,
}

/// Returns the table of values, with the header first.
#[must_use]
pub fn table(measures: &[Measured]) -> Vec<[String; 6]> {
    let head = ["measure", "value", "95 % interval", "pictures", "how", "by"].map(str::to_owned);
    let row = |m: &Measured| {
        let value = match m.std {
            Some(std) => format!("{} ± {}", short(m.value), short(std)),
            None => short(m.value),
        };
        let interval = match m.interval {
            Some(Interval { low, high }) => format!("{} to {}", short(low), short(high)),
            None => "–".to_owned(),
        };
        let pictures = match m.real {
            0 => m.count.to_string(),
            real => format!("{} against {real} real", m.count),
        };
        [m.name.clone(), value, interval, pictures, m.how.clone(), m.by.clone()]
    };
    std::iter::once(head).chain(measures.iter().map(row)).collect()
}

/// Formats a value with about four digits, never as `-0`.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        v if v >= 1.0 => 3,
        v if !(1e-9..0.01).contains(&v) => 4,
        _ => 6,
    };
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_owned(),
        _ => text,
    }
}

/// Returns warnings that a reader must know before using the values: of `count` generated and `real`
/// real pictures, about what was measured.
#[must_use]
pub fn warnings(
    judge: &Judge,
    network: Network,
    (count, real): (usize, Option<u64>),
    measures: &[Measured],
) -> Vec<String> {
    let mut warnings = Vec::new();
    let measured = |key| measures.iter().any(|measure| measure.key == key);
    if count < FEW && (measured("fid") || measured("is")) {
        warnings.push(format!(
            "{count} generated pictures are fewer than {FEW}: Fréchet distances come out too high, inception scores too \
             low; compare only with numbers of as many pictures"
        ));
    }
    let least = real.filter(|real| *real > 0).map_or(count as u64, |real| real.min(count as u64));
    if least <= judge.features as u64 && measured("fid") {
        warnings.push(format!(
            "{least} pictures are NO MORE THAN THE {} FEATURES: covariances are singular, and a Fréchet distance says next \
             to nothing",
            judge.features
        ));
    }
    if judge.published_as.is_none() {
        warnings.push(format!(
            "the weights of {} are not a published file that is known here (sha256 {}): its numbers compare with nothing \
             but numbers of the same weights",
            judge.network, judge.weights_sha256
        ));
    }
    if network == Network::EfficientNetLite0 {
        warnings.push(
            "efficientnet-lite0 is a stand-in: its numbers order models, but are no FID, KID or IS and compare with none"
                .to_owned(),
        );
    }
    if network == Network::InceptionTorchvision {
        warnings.push(
            "torchvision's weights: compare with FIDs of AttnGAN, DM-GAN, DF-GAN and the like, never with those of the \
             weights of 2015"
                .to_owned(),
        );
    }
    warnings
}

/// Returns a warning if kernel distances, precision or recall compare too few pictures.
#[must_use]
pub fn scarce(measures: &[Measured]) -> Option<String> {
    let compared = measures.iter().filter(|m| ["kid", "precision", "recall"].contains(&m.key));
    let least = compared.map(|m| m.count.min(m.real)).min().filter(|least| *least < SCARCE)?;
    Some(format!(
        "{least} pictures on one side are fewer than {SCARCE}: subsets for the kernel distance are nearly the same pictures, so \
         that its ± says nothing, and a few pictures' nearest neighbours make precision and recall of any size"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_say_everything() {
        let judge = Judge::new(Network::EfficientNetLite0, &"5".repeat(64));
        assert_eq!(judge.line(), "efficientnet-lite0 55555555, bilinear (Pillow) to 224");
        let measured = Measured {
            key: "fid",
            name: "FD (x)".to_owned(),
            value: 12.3456,
            interval: Some(Interval { low: 11.0, high: 13.5 }),
            std: None,
            count: 300,
            real: 200,
            how: String::new(),
            by: judge.line(),
        };
        let kernel = Measured { value: -0.000_012, std: Some(0.0005), real: 0, ..measured.clone() };
        let rows = table(&[measured, kernel]);
        assert_eq!(rows[1][..4], ["FD (x)", "12.35", "11.00 to 13.50", "300 against 200 real"]);
        assert_eq!(rows[2][1..4], ["-0.000012 ± 0.000500", "11.00 to 13.50", "300"]);
        assert_eq!(short(-1e-12), "0.0000");
    }

    #[test]
    fn numbers_of_few_pictures_are_named() {
        let of = |key, count, real| {
            let (name, how, by) = (String::new(), String::new(), String::new());
            let (interval, std) = (None, None);
            scarce(&[Measured { key, name, value: 1.0, interval, std, count, real, how, by }])
        };
        assert!(of("kid", 400, 4).unwrap().contains("4 pictures on one side"));
        assert!(of("precision", 99, 400).is_some());
        assert_eq!((of("recall", 100, 100), of("fid", 4, 4), of("rp", 4, 0)), (None, None, None));
    }

    fn measured(key: &'static str) -> Measured {
        let (name, how, by) = Default::default();
        let (interval, std) = (None, None);
        Measured { key, name, value: 1.0, interval, std, count: 400, real: 400, how, by }
    }

    #[test]
    fn few_pictures_and_stand_ins_are_named() {
        let all = |network: Network, hash: &str, count, real| {
            let measures = [measured("fid"), measured("kid")];
            warnings(&Judge::new(network, hash), network, (count, real), &measures).join("\n")
        };
        let fid = Network::InceptionFid;
        let hash = fid.published()[0].sha256;
        assert_eq!(all(fid, hash, 30_000, Some(30_000)), "");
        assert!(all(fid, hash, 9_999, None).contains("fewer than 10000"));
        assert!(all(fid, hash, 30_000, Some(2047)).contains("NO MORE THAN THE 2048 FEATURES"));
        assert!(!all(fid, hash, 30_000, Some(0)).contains("FEATURES"), "a count that no file says");
        assert!(all(fid, &"0".repeat(64), 30_000, None).contains("not a published file"));
        let stand_in = Network::EfficientNetLite0;
        assert!(all(stand_in, hash, 30_000, None).contains("stand-in"));
        let judge = Judge::new(fid, hash);
        let of_kernel = warnings(&judge, fid, (400, Some(400)), &[measured("kid")]);
        assert_eq!(of_kernel, Vec::<String>::new(), "there is no distance that these are about");
    }
}
