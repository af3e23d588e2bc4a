//! Turns pictures into rows of features and logits.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use stackgan_core::image::Picture;

use super::efficientnet_lite::CLASSES;
use super::inception::{Form, Inception};
use super::{EfficientNetLite0, Network};
use crate::Result;
use crate::rows::Rows;

/// A network with its weights.
#[derive(Clone, Debug)]
pub struct Extractor {
    network: Network,
    net: Net,
}

#[derive(Clone, Debug)]
enum Net {
    Inception(Box<Inception>),
    EfficientNet(Box<EfficientNetLite0>),
}

/// The output of a network: one row per picture.
#[derive(Clone, Debug)]
pub struct Extracted {
    /// Features.
    pub features: Rows,
    /// Logits of the classes.
    pub logits: Rows,
}

impl Extractor {
    /// Builds the network from the tensors of a state dict.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] if they belong to another network.
    pub fn new(network: Network, tensors: &BTreeMap<String, Tensor>) -> Result<Self> {
        let inception =
            |form| Ok::<_, crate::Error>(Net::Inception(Box::new(Inception::new(form, tensors)?)));
        let net = match network {
            Network::InceptionFid | Network::InceptionFidTf1 => inception(Form::Fid)?,
            Network::InceptionTorchvision => inception(Form::Torchvision)?,
            Network::InceptionStackGan => inception(Form::Slim)?,
            Network::EfficientNetLite0 => {
                Net::EfficientNet(Box::new(EfficientNetLite0::new(tensors, &Device::Cpu)?))
            }
        };
        Ok(Self { network, net })
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> Network {
        self.network
    }

    /// Computes features and logits of pictures of any sizes in one batch, on the CPU: memory grows
    /// with their number. Of no pictures there are no rows.
    ///
    /// # Errors
    /// [`crate::Error::Input`] if a picture is empty.
    pub fn extract(&self, pictures: &[Picture]) -> Result<Extracted> {
        if pictures.is_empty() {
            let classes = match &self.net {
                Net::Inception(net) => net.classes(),
                Net::EfficientNet(_) => CLASSES,
            };
            let features = Rows::new(self.network.width());
            return Ok(Extracted { features, logits: Rows::new(classes) });
        }
        let batch = self.prepare(pictures)?;
        let (features, logits) = match &self.net {
            Net::Inception(net) => {
                let output = net.forward(&batch)?;
                (output.features, output.logits)
            }
            Net::EfficientNet(net) => {
                let features = net.features(&batch)?;
                let logits = net.logits(&features)?;
                (features, logits)
            }
        };
        Ok(Extracted { features: rows(&features)?, logits: rows(&logits)? })
    }

    /// Returns the network's input, `(n, 3, side, side)`.
    fn prepare(&self, pictures: &[Picture]) -> Result<Tensor> {
        let side = self.network.side();
        let fed = pictures.par_iter().map(|picture| self.network.feed(picture));
        let planes = fed.collect::<Result<Vec<_>>>()?.concat();
        Ok(Tensor::from_vec(planes, (pictures.len(), 3, side, side), &Device::Cpu)?)
    }
}

fn rows(matrix: &Tensor) -> Result<Rows> {
    let values = matrix.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    Rows::from_values(matrix.dim(1)?, values)
}
