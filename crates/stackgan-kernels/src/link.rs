//! How gradients pass from map to map outside of candle's graph.
//!
//! candle walks the graph and decides what is differentiated, but the maps and their gradients are
//! kept outside of it. Each map has a [`Node`] with two parts: a handle, which is a one-element
//! tensor in candle's graph, and a cell to which every user of the map adds its gradient. Maps
//! therefore need not be tensors, and an operation may use any number of them. The first gradient
//! to arrive is stored as it is. candle would add it to a tensor of zeros, which costs as much as a
//! batch norm.
#![allow(unsafe_code, reason = "memory on a GPU that is not written, and never read")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

#[cfg(feature = "cuda")]
use candle_core::CudaStorage;
use candle_core::backprop::GradStore;
use candle_core::{
    CpuStorage, CustomOp1, CustomOp3, DType, Device, Layout, Result, Shape, Tensor, TensorId, bail,
};

thread_local! {
    /// The gradients of variables during [`backward`], each with its variable.
    static VARIABLES: RefCell<Option<HashMap<TensorId, (Tensor, Tensor)>>> = const { RefCell::new(None) };
}

/// Computes the gradients of `loss`, as candle's `Tensor::backward` does, for networks of maps.
///
/// The first gradient of a variable is stored as it is; candle would add it to a tensor of zeros.
///
/// Only first-order gradients are available. Like candle's own operations, maps return gradients
/// that are not part of a graph. A loss computed from a gradient (a gradient penalty) therefore
/// trains nothing, without an error. `stackgan_train::r1::R1` obtains such a gradient by a
/// finite difference of two passes.
///
/// # Errors
/// Errors of the operations.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    let outer = VARIABLES.replace(Some(HashMap::new()));
    let result = loss.backward();
    let variables = VARIABLES.replace(outer).unwrap_or_default();
    let mut gradients = result?;
    for (variable, gradient) in variables.into_values() {
        let gradient = match gradients.remove(&variable) {
            Some(other) => (gradient + other)?, // from one of candle's own operations
            None => gradient,
        };
        gradients.insert(&variable, gradient);
    }
    Ok(gradients)
}

/// Stores the gradient of a variable while [`backward`] runs. Otherwise returns it.
fn kept(variable: &Tensor, gradient: Tensor) -> Result<Option<Tensor>> {
    VARIABLES.with_borrow_mut(|variables| {
        let Some(variables) = variables else { return Ok(Some(gradient)) };
        let gradient = match variables.remove(&variable.id()) {
            Some((_, sum)) => (sum + gradient)?,
            None => gradient,
        };
        variables.insert(variable.id(), (variable.clone(), gradient));
        Ok(None)
    })
}

/// A gradient of maps.
pub(crate) trait Sum: Clone + Send + Sync + 'static {
    /// Returns the sum of two parts.
    fn sum(self, other: Self) -> Result<Self>;
}

/// The cell in which the gradient of a map is accumulated.
#[derive(Debug)]
pub(crate) struct Gradient<G>(Arc<Mutex<Option<G>>>);

impl<G> Clone for Gradient<G> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<G: Sum> Gradient<G> {
    /// Adds a part.
    pub(crate) fn add(&self, part: G) -> Result<()> {
        let mut cell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *cell = Some(match cell.take() {
            None => part,
            Some(sum) => sum.sum(part)?,
        });
        Ok(())
    }

    /// Takes the gradient, after every user of the map has added its part.
    pub(crate) fn take(&self) -> Result<G> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match taken {
            Some(gradient) => Ok(gradient),
            None => bail!("maps: a gradient is missing"),
        }
    }
}

/// The representation of a map in candle's graph, and its gradient.
#[derive(Clone, Debug)]
pub(crate) struct Node<G> {
    pub(crate) gradient: Gradient<G>,
    handle: Tensor,
    zero: Tensor, // the gradient of every handle
}

impl<G> Node<G> {
    /// Returns whether a gradient of these maps is needed.
    pub(crate) fn is_tracked(&self) -> bool {
        self.handle.track_op()
    }
}

/// An input of an operation.
pub(crate) enum Input<'a, G> {
    Map(&'a Node<G>),
    Tensor(&'a Tensor),
}

impl<'a, G> Input<'a, G> {
    fn tensor(&self) -> &'a Tensor {
        match self {
            Self::Map(node) => &node.handle,
            Self::Tensor(tensor) => tensor,
        }
    }
}

/// The backward step of an operation, called when the gradient of its output is complete.
///
/// It adds the gradients of those inputs that are maps, and returns those of the inputs that are
/// tensors, at their positions.
pub(crate) type Backward = Box<dyn Fn() -> Result<[Option<Tensor>; 3]> + Send + Sync>;

/// Creates the node of a map that was computed from one to three `inputs`.
pub(crate) fn linked<G: Sum>(
    name: &'static str,
    inputs: &[Input<'_, G>],
    backward: impl FnOnce(Gradient<G>) -> Backward,
) -> Result<Node<G>> {
    let zero = inputs.iter().find_map(|input| match input {
        Input::Map(node) => Some(node.zero.clone()),
        Input::Tensor(_) => None,
    });
    let zero = match (zero, inputs.first()) {
        (Some(zero), _) => zero,
        (None, Some(input)) => Tensor::zeros(1, DType::F32, input.tensor().device())?,
        (None, None) => Tensor::zeros(1, DType::F32, &Device::Cpu)?,
    };
    let gradient = Gradient(Arc::default());
    let mut maps = [false; 3];
    for (is_map, input) in maps.iter_mut().zip(inputs) {
        *is_map = matches!(input, Input::Map(_));
    }
    let link = Link { name, backward: backward(gradient.clone()), maps, zero: zero.clone() };
    // The zero takes the place of inputs that the operation does not have. It is not tracked.
    let (a, b, c) = match inputs {
        [a] => (a.tensor(), &zero, &zero),
        [a, b] => (a.tensor(), b.tensor(), &zero),
        [a, b, c] => (a.tensor(), b.tensor(), c.tensor()),
        _ => bail!("{name}: one to three inputs, found {}", inputs.len()),
    };
    let handle = a.apply_op3(b, c, link)?;
    Ok(Node { gradient, handle, zero })
}

struct Link {
    name: &'static str,
    backward: Backward,
    maps: [bool; 3],
    zero: Tensor,
}

impl Link {
    /// Returns the gradients of all inputs. The gradient of a handle is a placeholder.
    fn gradients(&self, inputs: [&Tensor; 3]) -> Result<[Option<Tensor>; 3]> {
        let mut gradients = (self.backward)()?;
        for ((gradient, input), is_map) in gradients.iter_mut().zip(inputs).zip(self.maps) {
            if is_map && input.track_op() {
                *gradient = Some(self.zero.clone());
            } else if input.is_variable()
                && let Some(own) = gradient.take()
            {
                *gradient = kept(input, own)?;
            }
        }
        Ok(gradients)
    }
}

impl CustomOp3 for Link {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.]), Shape::from(1))) // the value of a handle is never read
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        s: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        // SAFETY: the value of a handle is never read.
        let slice = unsafe { s.device.alloc::<f32>(1)? };
        Ok((CudaStorage::wrap_cuda_slice(slice, s.device.clone()), Shape::from(1)))
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _: &Tensor,
        _: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [da, db, dc] = self.gradients([a, b, c])?;
        Ok((da, db, dc))
    }
}

/// Values that leave the graph of maps, on their device.
pub(crate) enum Leaving {
    Cpu(Vec<f32>),
    #[cfg(feature = "cuda")]
    Gpu(CudaStorage),
}

/// Returns an `f32` tensor of `shape` in candle's graph with values computed from a map. `backward`
/// receives its gradient.
pub(crate) fn leave_graph<G>(
    name: &'static str,
    node: &Node<G>,
    output: Leaving,
    shape: impl Into<Shape>,
    backward: impl Fn(&Tensor) -> Result<()> + Send + Sync + 'static,
) -> Result<Tensor> {
    let (output, shape) = (Mutex::new(Some(output)), shape.into());
    node.handle.apply_op1(Exit { name, output, shape, backward, zero: node.zero.clone() })
}

struct Exit<F> {
    name: &'static str,
    output: Mutex<Option<Leaving>>,
    shape: Shape,
    backward: F,
    zero: Tensor,
}

impl<F> Exit<F> {
    fn taken(&self) -> Option<Leaving> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<F: Fn(&Tensor) -> Result<()>> CustomOp1 for Exit<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        match self.taken() {
            Some(Leaving::Cpu(values)) => Ok((CpuStorage::F32(values), self.shape.clone())),
            _ => bail!("{}: no values on the CPU", self.name),
        }
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        match self.taken() {
            Some(Leaving::Gpu(values)) => Ok((values, self.shape.clone())),
            _ => bail!("{}: no values on the GPU", self.name),
        }
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        (self.backward)(&grad.contiguous()?)?;
        Ok(Some(self.zero.clone()))
    }
}
