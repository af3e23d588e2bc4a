//! A second discriminator, which sees pictures through a pretrained network: a head on each of four
//! scales of the network's maps. The paper's D plays on beside it.
//!
//! Source: Projected GANs (Sauer et al., `NeurIPS` 2021), section 3: the network and the weights that
//! mix the channels of its maps stay as they are, and only the heads learn. Differs from it: the
//! heads also judge whether the text fits, as StackGAN's D does, and have no batch norm in Stage-II;
//! maps are mixed across channels, not across scales; and the losses are those of the recipe.
//!
//! D has to find out from few pictures what a bird is; the network knows. It saw photographs of a
//! thousand kinds of things with their names, so this is for photographs.

pub(crate) mod head;
mod projection;

use candle_core::{Result, Tensor};
use stackgan_core::losses::bce_with_logits;
use stackgan_core::{Params, Scope, Stage};

use crate::step::Batch;
use head::Head;
pub use projection::Projection;
pub(crate) use projection::side;

/// The scope of the heads' variables among D's.
pub(crate) const PREFIX: &str = "projected";

/// The heads, on the maps of a [`Projection`].
#[derive(Debug)]
pub struct Projected {
    projection: Projection,
    /// With weights that record gradients, for D's step.
    trained: Vec<Head>,
    /// With frozen weights, for G's step.
    frozen: Vec<Head>,
}

/// What the heads are shown in D's step: pictures `(n, 3, size, size)`, as D sees them.
#[derive(Clone, Copy, Debug)]
pub struct Pictures<'a> {
    /// With the right text.
    pub real: &'a Tensor,
    /// What makes the wrong pairs.
    pub wrong: Wrong<'a>,
    /// Painted ones.
    pub fake: &'a Tensor,
}

/// What makes wrong pairs of pictures and texts.
#[derive(Clone, Copy, Debug)]
pub enum Wrong<'a> {
    /// Nothing.
    None,
    /// Other pictures with the text, as in `residual`.
    Pictures(&'a Tensor),
    /// Real pictures with the text of another sample, as in `plain`: the chosen one, or the next in the
    /// batch, and for the last the first. (`plain`'s own D is not shown the last one.)
    Texts,
}

/// A group of pictures, by its place among those shown, with texts and a label.
struct Pairs<'a> {
    pictures: usize,
    text: &'a Tensor,
    label: f64,
}

impl Projected {
    /// Builds the heads among D's variables, for a stage's pictures and texts of `text_dim` numbers.
    ///
    /// # Errors
    /// When D's variables have the names, but not the shapes.
    pub fn new(
        projection: Projection,
        (stage, text_dim): (Stage, usize),
        d: &Params,
    ) -> Result<Self> {
        let heads = |scope: Scope| -> Result<Vec<Head>> {
            let sides = Projection::sides(stage).into_iter().enumerate();
            let head = |(i, side)| Head::new((stage, side), text_dim, &scope.pp(PREFIX).pp(i));
            sides.map(head).collect()
        };
        let (trained, frozen) = (heads(d.trained())?, heads(d.frozen())?);
        Ok(Self { projection, trained, frozen })
    }

    /// What makes the maps.
    pub(crate) const fn projection(&self) -> &Projection {
        &self.projection
    }

    /// D's loss for these pictures and the texts of `batch`: real against the mean of wrong and fake,
    /// as in both recipes. `real_label` is the label of real pictures with the right text.
    ///
    /// # Errors
    /// When shapes do not fit.
    pub fn of_d(
        &self,
        shown: Pictures<'_>,
        batch: &Batch,
        real_label: f64,
    ) -> crate::Result<Tensor> {
        let Pictures { real, wrong, fake } = shown;
        let (text, other) = (&batch.text, other_text(wrong, batch)?);
        let mut pictures = vec![real, fake];
        let mut pairs = vec![
            Pairs { pictures: 0, text, label: real_label },
            Pairs { pictures: 1, text, label: 0.0 },
        ];
        if let Wrong::Pictures(wrong) = wrong {
            pictures.push(wrong);
            pairs.push(Pairs { pictures: 2, text, label: 0.0 });
        }
        if let Some(other) = &other {
            pairs.push(Pairs { pictures: 0, text: other, label: 0.0 });
        }
        let maps = self.projection.maps(&Tensor::cat(&pictures, 0)?)?;
        let of_head = |(head, maps): (&Head, _)| -> Result<Tensor> {
            let encoded = head.encode(maps, pictures.len())?.chunk(pictures.len(), 0)?;
            let seen: Vec<&Tensor> =
                pairs.iter().filter_map(|pairs| encoded.get(pairs.pictures)).collect();
            let texts: Vec<&Tensor> = pairs.iter().map(|pairs| pairs.text).collect();
            let (seen, texts) = (Tensor::cat(&seen, 0)?, Tensor::cat(&texts, 0)?);
            let logits = head.logits(&seen, &texts, pairs.len())?.chunk(pairs.len(), 0)?;
            let losses = logits.iter().zip(&pairs);
            let losses = losses.map(|(logits, pairs)| bce_with_logits(logits, pairs.label));
            match losses.collect::<Result<Vec<_>>>()?.split_first() {
                Some((real, against)) => real + mean(against)?,
                None => candle_core::bail!("no pictures to judge"),
            }
        };
        let losses = self.trained.iter().zip(&maps).map(of_head).collect::<Result<Vec<_>>>()?;
        Ok(mean(&losses)?)
    }

    /// G's loss: that the heads take what it painted, `(n, 3, size, size)` as D sees it, for real
    /// pictures with these texts, `(n, text_dim)`.
    ///
    /// # Errors
    /// When shapes do not fit, as of pictures of the other stage.
    pub fn of_g(&self, painted: &Tensor, text: &Tensor) -> crate::Result<Tensor> {
        let maps = self.projection.maps(painted)?;
        let loss = |(head, maps): (&Head, _)| {
            bce_with_logits(&head.logits(&head.encode(maps, 1)?, text, 1)?, 1.0)
        };
        let losses: Vec<Tensor> = self.frozen.iter().zip(&maps).map(loss).collect::<Result<_>>()?;
        Ok(mean(&losses)?)
    }
}

/// For each picture the text of another sample, if that makes the wrong pairs.
fn other_text(wrong: Wrong<'_>, batch: &Batch) -> Result<Option<Tensor>> {
    let (text, n) = (&batch.text, batch.text.dim(0)?);
    match (wrong, &batch.other_text) {
        (Wrong::None | Wrong::Pictures(_), _) => Ok(None),
        (Wrong::Texts, Some(chosen)) => Ok(Some(text.index_select(chosen, 0)?)),
        (Wrong::Texts, None) => {
            let (first, others) = (text.narrow(0, 0, 1)?, text.narrow(0, 1, n - 1)?);
            Ok(Some(Tensor::cat(&[others, first], 0)?))
        }
    }
}

/// The mean of scalars.
fn mean(scalars: &[Tensor]) -> Result<Tensor> {
    Tensor::stack(scalars, 0)?.mean_all()
}
