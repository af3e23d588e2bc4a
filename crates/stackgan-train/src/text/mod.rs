//! Training the char-CNN-RNN on a dataset's own captions and pictures.
//!
//! Two ways: the published one ([`TextTrainConfig::published`]: structured joint embedding, one class per row, `RMSprop`;
//! Reed et al., CVPR 2016), and one for small encoders and few minutes ([`TextTrainConfig::small`]: softmax contrastive
//! loss with hard batches, Adam). The published image side is a pretrained `GoogLeNet`; here a small convolutional
//! network is trained along, see [`ImageEncoder`].

mod batches;
mod config;
mod evaluate;
mod image_encoder;
mod optimiser;
mod run;
mod source;
mod trained;

pub use config::{HardBatches, Loss, Optimiser, TextDecay, TextTrainConfig};
pub use evaluate::{Scores, evaluate};
pub use image_encoder::{ImageEncoder, SIDE};
pub use run::{TextEvent, TextRun, train_encoder};
pub use source::TextSource;
pub use trained::TrainedEncoder;
