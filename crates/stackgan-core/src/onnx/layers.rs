//! The layers of a stage as nodes, evaluated with running statistics.
//!
//! There is one function for each layer of [`crate::layers`], with the same names.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, bail};
use stackgan_kernels::Activation;

use super::graph::{Graph, Setting};
use crate::Params;
use crate::layers::{BATCH_NORM_EPS, Window};

/// The tensors of a stage and the graph to which they are added.
#[derive(Debug)]
pub(super) struct Layers<'a> {
    pub(super) graph: &'a mut Graph,
    tensors: BTreeMap<String, Tensor>,
    prefix: &'static str,
}

impl<'a> Layers<'a> {
    /// Creates the stage of `params`. A model file stores its tensors with `prefix` before their
    /// names.
    pub(super) fn new(graph: &'a mut Graph, params: &Params, prefix: &'static str) -> Self {
        Self { graph, tensors: params.values(), prefix }
    }

    fn weight(&mut self, name: &str) -> Result<String> {
        match self.tensors.get(name) {
            Some(tensor) => self.graph.weight(&format!("{}{name}", self.prefix), tensor),
            None => bail!("tensor `{}{name}` is missing", self.prefix),
        }
    }

    /// Adds an activation.
    pub(super) fn activate(&mut self, x: String, activation: Activation) -> String {
        match activation {
            Activation::Identity => x,
            Activation::Relu => self.graph.node("Relu", &[&x], &[]),
            Activation::LeakyRelu(slope) => {
                self.graph.node("LeakyRelu", &[&x], &[("alpha", Setting::Float(slope))])
            }
        }
    }

    /// Adds a linear layer, with a bias if the stage has one.
    pub(super) fn linear(&mut self, x: &str, name: &str) -> Result<String> {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let weight = self.weight(&weight)?;
        let bias = if self.tensors.contains_key(&bias) { Some(self.weight(&bias)?) } else { None };
        let inputs: Vec<&str> = [x, &weight].into_iter().chain(bias.as_deref()).collect();
        Ok(self.graph.node("Gemm", &inputs, &[("transB", Setting::Int(1))]))
    }

    /// Adds a convolution without bias.
    pub(super) fn conv(&mut self, x: &str, name: &str, window: Window) -> Result<String> {
        let weight = self.weight(&format!("{name}.weight"))?;
        let (kernel, stride, padding) = window.geometry();
        let [kernel, stride, padding] = [kernel, stride, padding].map(|number| number as i64);
        let set = [
            ("kernel_shape", Setting::Ints(&[kernel; 2])),
            ("strides", Setting::Ints(&[stride; 2])),
            ("pads", Setting::Ints(&[padding; 4])),
        ];
        Ok(self.graph.node("Conv", &[x, &weight], &set))
    }

    /// Adds batch norm and the activation that follows it.
    pub(super) fn norm(&mut self, x: &str, name: &str, activation: Activation) -> Result<String> {
        let mut inputs = vec![x.to_owned()];
        for part in ["weight", "bias", "running_mean", "running_var"] {
            inputs.push(self.weight(&format!("{name}.{part}"))?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let set = [("epsilon", Setting::Float(BATCH_NORM_EPS as f32))];
        let x = self.graph.node("BatchNormalization", &inputs, &set);
        Ok(self.activate(x, activation))
    }

    /// Adds a convolution named `index` under `scope`, its batch norm named `index + 1`, and the
    /// activation.
    pub(super) fn conv_norm(
        &mut self,
        x: &str,
        (scope, index): (&str, usize),
        window: Window,
        activation: Activation,
    ) -> Result<String> {
        let x = self.conv(x, &format!("{scope}.{index}"), window)?;
        self.norm(&x, &format!("{scope}.{}", index + 1), activation)
    }

    /// Adds nearest x2 up-sampling.
    pub(super) fn twice(&mut self, x: &str) -> String {
        let sides = self.graph.numbers(&[1.0, 1.0, 2.0, 2.0]);
        let set = [
            ("mode", Setting::Text("nearest")),
            ("coordinate_transformation_mode", Setting::Text("asymmetric")),
            ("nearest_mode", Setting::Text("floor")),
        ];
        self.graph.node("Resize", &[x, "", &sides], &set)
    }

    /// Adds nearest x2 up-sampling, a 3x3 convolution, batch norm and activation.
    pub(super) fn up(&mut self, x: &str, name: &str, activation: Activation) -> Result<String> {
        let x = self.twice(x);
        self.conv_norm(&x, (name, 1), Window::Three, activation)
    }

    /// Adds two 3x3 convolutions with a skip connection.
    pub(super) fn residual_block(&mut self, x: &str, name: &str) -> Result<String> {
        let block = format!("{name}.block");
        let inner = self.conv_norm(x, (&block, 0), Window::Three, Activation::Relu)?;
        let inner = self.conv_norm(&inner, (&block, 3), Window::Three, Activation::Identity)?;
        Ok(self.add_activate(x, &inner))
    }

    /// Adds a bottleneck (1x1 down, 3x3, 3x3 back up) with a skip connection.
    pub(super) fn bottleneck(&mut self, x: &str, name: &str) -> Result<String> {
        let block = format!("{name}.block");
        let inner = self.conv_norm(x, (&block, 0), Window::Point, Activation::Relu)?;
        let inner = self.conv_norm(&inner, (&block, 3), Window::Three, Activation::Relu)?;
        let inner = self.conv_norm(&inner, (&block, 6), Window::Three, Activation::Identity)?;
        Ok(self.add_activate(x, &inner))
    }

    fn add_activate(&mut self, x: &str, inner: &str) -> String {
        let sum = self.graph.node("Add", &[x, inner], &[]);
        self.activate(sum, Activation::Relu)
    }
}
