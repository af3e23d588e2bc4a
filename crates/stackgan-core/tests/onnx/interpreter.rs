//! Runs a graph by the definitions of its operators (onnx/onnx, `docs/Operators.md`, opset 17),
//! with candle's own operations. It does not use the kernels of the networks.
#![expect(clippy::disallowed_methods, reason = "candle's own operations")]

use std::collections::BTreeMap;

use candle_core::{D, DType, Result, Tensor, bail};

use crate::protobuf::{File, Node, Setting};

type Values = BTreeMap<String, Tensor>;

/// Returns the outputs of a file for `inputs`.
pub(crate) fn run(file: &File, inputs: &[(&str, &Tensor)]) -> Result<Values> {
    let mut values = file.tensors.clone();
    for (name, kind, shape) in &file.inputs {
        let Some((_, tensor)) = inputs.iter().find(|(given, _)| given == name) else {
            bail!("no input `{name}`");
        };
        let fits = |(size, wanted): (&usize, &i64)| *wanted == -1 || *size as i64 == *wanted;
        let dtype = if *kind == 7 { DType::I64 } else { DType::F32 };
        let rank = tensor.rank() == shape.len();
        if !rank || !tensor.dims().iter().zip(shape).all(fits) || tensor.dtype() != dtype {
            bail!("input `{name}` is {shape:?}, found {tensor:?}");
        }
        values.insert(name.clone(), (*tensor).clone());
    }
    for node in &file.nodes {
        let results = evaluate(node, &values)?;
        if results.len() != node.outputs.len() {
            bail!("{} gives {} results", node.op, results.len());
        }
        values.extend(node.outputs.iter().cloned().zip(results));
    }
    values.retain(|name, _| file.outputs.iter().any(|(output, ..)| output == name));
    Ok(values)
}

fn evaluate(node: &Node, values: &Values) -> Result<Vec<Tensor>> {
    let input = |i: usize| match node.inputs.get(i).and_then(|name| values.get(name)) {
        Some(tensor) => Ok(tensor.clone()),
        None => bail!("{}: no input {i}", node.op),
    };
    let ints = |i: usize| input(i)?.to_vec1::<i64>();
    let x = input(0)?;
    let result = match node.op.as_str() {
        "Identity" => x,
        "Add" => x.broadcast_add(&input(1)?)?,
        "Sub" => x.broadcast_sub(&input(1)?)?,
        "Mul" => x.broadcast_mul(&input(1)?)?,
        "Div" => x.broadcast_div(&input(1)?)?,
        "Exp" => x.exp()?,
        "Tanh" => x.tanh()?,
        "Relu" => x.relu()?,
        "LeakyRelu" => {
            let slope = f64::from(float(node, "alpha")?);
            (x.relu()? - (x.neg()?.relu()? * slope)?)?
        }
        "ThresholdedRelu" => {
            let above = x.gt(f64::from(float(node, "alpha")?))?;
            above.where_cond(&x, &x.zeros_like()?)?
        }
        "Gemm" => {
            if node.set != [("transB".to_owned(), Setting::Int(1))].into() {
                bail!("Gemm with {:?}", node.set);
            }
            let product = x.matmul(&input(1)?.t()?)?;
            if node.inputs.len() == 3 { product.broadcast_add(&input(2)?)? } else { product }
        }
        "BatchNormalization" => {
            let mut shape = vec![1; x.rank()];
            shape[1] = x.dim(1)?;
            let row = |i| input(i)?.reshape(shape.as_slice());
            let [gamma, beta, mean, var] = [row(1)?, row(2)?, row(3)?, row(4)?];
            let deviation = (var + f64::from(float(node, "epsilon")?))?.sqrt()?;
            let x = x.broadcast_sub(&mean)?.broadcast_div(&deviation)?;
            x.broadcast_mul(&gamma)?.broadcast_add(&beta)?
        }
        "Conv" => conv(node, &x, &input(1)?, input(2).ok())?,
        "MaxPool" => {
            let [size, stride] = ["kernel_shape", "strides"].map(|name| list(node, name));
            let (size, stride) = (size[0] as usize, stride[0] as usize);
            let steps = (x.dim(2)? - size) / stride + 1;
            let windows = (0..steps).map(|t| x.narrow(2, t * stride, size)?.max_keepdim(2));
            Tensor::cat(&windows.collect::<Result<Vec<_>>>()?, 2)?
        }
        "Resize" => resize(node, &x, &input(2)?.to_vec1::<f32>()?)?,
        "Reshape" => {
            let sizes = ints(1)?.into_iter().enumerate();
            let sizes: Vec<usize> = sizes
                .map(|(i, size)| if size == 0 { x.dims()[i] } else { size as usize })
                .collect();
            x.reshape(sizes)?
        }
        "Expand" => {
            let ones: Vec<usize> = ints(1)?.into_iter().map(|size| size as usize).collect();
            x.broadcast_mul(&Tensor::ones(ones, DType::F32, x.device())?)?
        }
        "Concat" => {
            let all: Vec<Tensor> = (0..node.inputs.len()).map(input).collect::<Result<_>>()?;
            Tensor::cat(&all, int(node, "axis")?)?
        }
        "Split" => return split(node, &x, input(1).ok()),
        "Gather" => {
            let (at, width) = (input(1)?, x.dim(1)?);
            let shape = [at.dims(), &[width]].concat();
            x.index_select(&at.flatten_all()?, 0)?.reshape(shape)?
        }
        "Transpose" => {
            let order: Vec<usize> = list(node, "perm").into_iter().map(|i| i as usize).collect();
            x.permute(order)?.contiguous()?
        }
        "Squeeze" => x.squeeze(ints(1)?[0] as usize)?,
        "Unsqueeze" => x.unsqueeze(ints(1)?[0] as usize)?,
        "ReduceMean" => {
            assert_eq!(int(node, "keepdims")?, 0);
            x.mean(list(node, "axes")[0] as usize)?
        }
        "Cast" if int(node, "to")? == 2 => x.to_dtype(DType::U8)?,
        "GRU" | "RNN" => recurrence(node, &x, [&input(1)?, &input(2)?, &input(3)?, &input(5)?])?,
        op => bail!("{op} with {:?}", node.set),
    };
    Ok(vec![result])
}

fn float(node: &Node, name: &str) -> Result<f32> {
    match node.set.get(name) {
        Some(Setting::Float(value)) => Ok(*value),
        other => bail!("{}: `{name}` is {other:?}", node.op),
    }
}

fn int(node: &Node, name: &str) -> Result<usize> {
    match node.set.get(name) {
        Some(Setting::Int(value)) => Ok(*value as usize),
        other => bail!("{}: `{name}` is {other:?}", node.op),
    }
}

/// Returns a list of integers, empty if it is not set.
fn list(node: &Node, name: &str) -> Vec<i64> {
    match node.set.get(name) {
        Some(Setting::Ints(values)) => values.clone(),
        _ => Vec::new(),
    }
}

fn conv(node: &Node, x: &Tensor, weight: &Tensor, bias: Option<Tensor>) -> Result<Tensor> {
    if weight.rank() == 3 {
        assert!(node.set.is_empty(), "{:?}", node.set);
        return x.conv1d(weight, 0, 1, 1, 1)?.broadcast_add(&bias.unwrap().unsqueeze(1)?);
    }
    let [kernel, strides, pads] = ["kernel_shape", "strides", "pads"].map(|name| list(node, name));
    let size = weight.dim(D::Minus1)? as i64;
    assert_eq!((kernel, bias.is_none()), (vec![size; 2], true));
    assert_eq!((&strides, &pads), (&vec![strides[0]; 2], &vec![pads[0]; 4]));
    x.conv2d(weight, pads[0] as usize, strides[0] as usize, 1, 1)
}

/// Nearest: position `i` of the result is `floor(i / scale)`.
fn resize(node: &Node, x: &Tensor, scales: &[f32]) -> Result<Tensor> {
    let text = |name: &str, value: &str| {
        assert_eq!(node.set.get(name), Some(&Setting::Text(value.to_owned())));
    };
    text("mode", "nearest");
    text("coordinate_transformation_mode", "asymmetric");
    text("nearest_mode", "floor");
    assert_eq!(node.inputs[1], "");
    let mut x = x.clone();
    for (axis, scale) in scales.iter().enumerate() {
        let size = (x.dim(axis)? as f32 * scale) as u32;
        let from: Vec<u32> = (0..size).map(|i| (i as f32 / scale).floor() as u32).collect();
        x = x.index_select(&Tensor::new(from, x.device())?, axis)?;
    }
    Ok(x)
}

fn split(node: &Node, x: &Tensor, sizes: Option<Tensor>) -> Result<Vec<Tensor>> {
    let (axis, parts) = (int(node, "axis")?, node.outputs.len());
    let sizes = match sizes {
        Some(sizes) => sizes.to_vec1::<i64>()?.into_iter().map(|size| size as usize).collect(),
        None => vec![x.dim(axis)? / parts; parts],
    };
    assert_eq!(sizes.iter().sum::<usize>(), x.dim(axis)?);
    let starts = sizes.iter().scan(0, |end, size| {
        *end += size;
        Some(*end - size)
    });
    starts.zip(&sizes).map(|(start, size)| x.narrow(axis, start, *size)?.contiguous()).collect()
}

/// Runs `GRU` (`linear_before_reset = 0`) or `RNN` with ReLU in one direction from a given state.
/// Returns the states `(time, 1, n, units)`.
fn recurrence(node: &Node, x: &Tensor, given: [&Tensor; 4]) -> Result<Tensor> {
    let [weight, hidden, bias, state] = given;
    let (weight, hidden) = (weight.squeeze(0)?, hidden.squeeze(0)?);
    let (bias, mut state) = (bias.squeeze(0)?, state.squeeze(0)?);
    let (units, time) = (int(node, "hidden_size")?, x.dim(0)?);
    let gates = weight.dim(0)? / units;
    let term = |input: &Tensor, matrix: &Tensor, gate: usize, first: usize| {
        let product = input.matmul(&matrix.narrow(0, gate * units, units)?.t()?)?;
        product.broadcast_add(&bias.narrow(0, (first + gate) * units, units)?)
    };
    let sigmoid = |x: Tensor| (x.neg()?.exp()? + 1.0)?.recip();
    let mut states = Vec::with_capacity(time);
    for t in 0..time {
        let x = x.get(t)?.contiguous()?;
        let sum =
            |input: &Tensor, gate| term(&x, &weight, gate, 0)? + term(input, &hidden, gate, gates)?;
        state = if node.op == "RNN" {
            assert_eq!(node.set.get("activations"), Some(&Setting::Texts(vec!["Relu".to_owned()])));
            sum(&state, 0)?.relu()?
        } else {
            assert_eq!(int(node, "linear_before_reset")?, 0);
            let (z, r) = (sigmoid(sum(&state, 0)?)?, sigmoid(sum(&state, 1)?)?);
            let candidate = sum(&(r * &state)?, 2)?.tanh()?;
            ((1.0 - &z)? * candidate)?.add(&(z * &state)?)?
        };
        states.push(state.clone());
    }
    Tensor::stack(&states, 0)?.unsqueeze(1)
}
