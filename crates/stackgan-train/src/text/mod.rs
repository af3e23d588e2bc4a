//! Training of the char-CNN-RNN on a dataset's own captions and pictures.
//!
//! There are two ways. [`TextTrainConfig::published`] is the published one: structured joint
//! embedding, one class per row, `RMSprop` (Reed et al., CVPR 2016). [`TextTrainConfig::small`] is
//! for small encoders and a few minutes: softmax contrastive loss with hard batches, Adam.
//!
//! The image side is a pretrained network's features ([`PictureFeatures`]; the published ones were
//! `GoogLeNet`'s), or a small convolutional network that is trained with the text encoder: see
//! `image_encoder`.

mod batches;
mod config;
mod evaluate;
mod features;
mod image_encoder;
mod network;
mod optimiser;
mod run;
mod source;
mod trained;

pub use config::{HardBatches, ImageSide, Loss, Optimiser, TextDecay, TextTrainConfig};
pub use evaluate::{Scores, evaluate};
pub use features::{ImageInputs, PictureFeatures};
pub(crate) use image_encoder::ImageEncoder;
pub use image_encoder::SIDE;
pub use network::PictureNetwork;
pub use run::{TextEvent, TextRun, TextTraining, check, train_encoder};
pub use source::TextSource;
pub use trained::TrainedEncoder;
