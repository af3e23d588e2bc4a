//! A model in a web page: its file and a sentence in, a PNG out, without a server.

use stackgan_core::{Device, Model, Sampling};
use wasm_bindgen::prelude::*;

/// A model in the memory of the page.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Painter(Model);

#[wasm_bindgen]
impl Painter {
    /// Reads the bytes of a model file.
    ///
    /// # Errors
    /// A file that is no model, or is damaged.
    #[wasm_bindgen(constructor)]
    pub fn new(file: &[u8]) -> Result<Painter, JsError> {
        Ok(Self(Model::from_bytes(file, &Device::Cpu)?))
    }

    /// Paints a sentence and returns a PNG. The same sentence and seed give the same picture.
    ///
    /// # Errors
    /// A model without a text encoder in its file.
    pub fn paint(&self, sentence: &str, seed: u32) -> Result<Vec<u8>, JsError> {
        let images = self.0.generate(&[sentence], u64::from(seed), Sampling::default())?;
        let image = images.first().ok_or_else(|| JsError::new("nothing was painted"))?;
        Ok(image.encode_png()?)
    }

    /// What the text encoder does not read of a sentence, in words.
    #[must_use]
    pub fn unread(&self, sentence: &str) -> Option<String> {
        self.0.unread(sentence)
    }
}
