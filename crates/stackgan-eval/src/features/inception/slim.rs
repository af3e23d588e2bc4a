//! The authors' fine-tuned Inception as it is in their TensorFlow checkpoints: which variable holds
//! which tensor.
//!
//! Source: `inception_score.py` (StackGAN-inception-model), which restores the moving averages of
//! the variables of `inception/slim/inception_model.py` (tensorflow/models, 2016). Its layers are
//! called by their place: `mixed_17x17x768b/branch7x7/Conv_1/weights` is the second convolution of a
//! branch. Its norms have no factor.

use std::collections::{BTreeMap, BTreeSet};

use candle_core::{Device, Result, Tensor};

/// The suffix of a variable's moving average.
const AVERAGE: &str = "/ExponentialMovingAverage";

/// The convolutions before the blocks.
const STEM: [(&str, &str); 5] = [
    ("conv0", "Conv2d_1a_3x3"),
    ("conv1", "Conv2d_2a_3x3"),
    ("conv2", "Conv2d_2b_3x3"),
    ("conv3", "Conv2d_3b_1x1"),
    ("conv4", "Conv2d_4a_3x3"),
];

/// The blocks.
const BLOCKS: [(&str, &str); 11] = [
    ("mixed_35x35x256a", "Mixed_5b"),
    ("mixed_35x35x288a", "Mixed_5c"),
    ("mixed_35x35x288b", "Mixed_5d"),
    ("mixed_17x17x768a", "Mixed_6a"),
    ("mixed_17x17x768b", "Mixed_6b"),
    ("mixed_17x17x768c", "Mixed_6c"),
    ("mixed_17x17x768d", "Mixed_6d"),
    ("mixed_17x17x768e", "Mixed_6e"),
    ("mixed_17x17x1280a", "Mixed_7a"),
    ("mixed_8x8x2048a", "Mixed_7b"),
    ("mixed_8x8x2048b", "Mixed_7c"),
];

/// Returns the variables that hold the network among those of a checkpoint: of each its moving
/// average, if there is one. `None` if the checkpoint is of another network.
#[must_use]
pub fn variables<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for name in names {
        let plain = name.strip_suffix(AVERAGE);
        if tensor(plain.unwrap_or(name)).is_some() && (plain.is_some() || !found.contains_key(name))
        {
            found.insert(plain.unwrap_or(name).to_owned(), name.to_owned());
        }
    }
    let has = |name: &str| found.contains_key(name);
    let is_network = has("conv0/weights") && has("mixed_8x8x2048b/branch1x1/Conv/weights");
    is_network.then(|| found.into_values().collect())
}

/// Returns the weights of [`Form::Slim`](super::Form::Slim) from these variables, with torchvision's
/// names and order of axes.
///
/// # Errors
/// A failure of a tensor operation.
pub fn state_dict(variables: BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>> {
    let mut weights = BTreeMap::new();
    for (name, values) in variables {
        let Some(tensor) = tensor(name.strip_suffix(AVERAGE).unwrap_or(&name)) else { continue };
        let values = match values.rank() {
            4 => values.permute((3, 2, 0, 1))?.contiguous()?,
            2 => values.t()?.contiguous()?,
            _ => values,
        };
        if let Some(norm) = tensor.strip_suffix(".running_var") {
            let factor = Tensor::ones(values.dims(), values.dtype(), &Device::Cpu)?;
            weights.insert(format!("{norm}.weight"), factor);
        }
        weights.insert(tensor, values);
    }
    Ok(weights)
}

/// The tensor that a variable holds; `None` for those of training and of the side head.
fn tensor(variable: &str) -> Option<String> {
    let called = |names: &[(&str, &'static str)], name: &str| {
        names.iter().find(|(theirs, _)| *theirs == name).map(|(_, ours)| *ours)
    };
    let parts: Vec<&str> = variable.split('/').collect();
    let (layer, part) = match parts.as_slice() {
        ["logits", "logits", "weights"] => return Some("fc.weight".to_owned()),
        ["logits", "logits", "biases"] => return Some("fc.bias".to_owned()),
        [layer, part @ ..] if let Some(layer) = called(&STEM, layer) => (layer.to_owned(), part),
        [block, branch, layer, part @ ..] => {
            let block = called(&BLOCKS, block)?;
            (format!("{block}.{branch}{}", place(block, branch, layer)?), part)
        }
        _ => return None,
    };
    let part = match part {
        ["weights"] => "conv.weight",
        ["BatchNorm", "beta"] => "bn.bias",
        ["BatchNorm", "moving_mean"] => "bn.running_mean",
        ["BatchNorm", "moving_variance"] => "bn.running_var",
        _ => return None,
    };
    Some(format!("{layer}.{part}"))
}

/// What torchvision appends to the name of a branch for its convolution `Conv` or `Conv_N`.
fn place(block: &str, branch: &str, layer: &str) -> Option<String> {
    let at = match layer.strip_prefix("Conv")? {
        "" => 0,
        number => number.strip_prefix('_')?.parse::<usize>().ok().filter(|n| (1..8).contains(n))?,
    };
    // The last two convolutions of these branches are side by side.
    let fork = match (block, branch) {
        ("Mixed_7b" | "Mixed_7c", "branch3x3") => 1,
        ("Mixed_7b" | "Mixed_7c", "branch3x3dbl") => 2,
        (_, "branch1x1" | "branch_pool") | ("Mixed_6a", "branch3x3") => {
            return (at == 0).then(String::new);
        }
        _ => usize::MAX,
    };
    Some(match at.checked_sub(fork) {
        None => format!("_{}", at + 1),
        Some(side) => format!("_{}{}", fork + 1, ["a", "b"].get(side)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_called_as_torchvision_calls_them() {
        for (variable, expected) in [
            ("conv2/BatchNorm/moving_variance", "Conv2d_2b_3x3.bn.running_var"),
            ("mixed_35x35x288a/branch5x5/Conv_1/weights", "Mixed_5c.branch5x5_2.conv.weight"),
            ("mixed_17x17x768a/branch3x3/Conv/weights", "Mixed_6a.branch3x3.conv.weight"),
            ("mixed_17x17x1280a/branch3x3/Conv/weights", "Mixed_7a.branch3x3_1.conv.weight"),
            ("mixed_8x8x2048a/branch3x3/Conv/BatchNorm/beta", "Mixed_7b.branch3x3_1.bn.bias"),
            ("mixed_8x8x2048a/branch3x3dbl/Conv_3/weights", "Mixed_7b.branch3x3dbl_3b.conv.weight"),
            ("logits/logits/weights", "fc.weight"),
        ] {
            assert_eq!(tensor(variable).as_deref(), Some(expected), "{variable}");
        }
        for other in [
            "mixed_8x8x2048a/branch3x3/Conv_3/weights",
            "mixed_35x35x256a/branch1x1/Conv_1/weights",
            "aux_logits/proj/weights",
            "conv0/weights/RMSProp",
            "logits/logits/weights/ExponentialMovingAverage",
            "global_step",
        ] {
            assert_eq!(tensor(other), None, "{other}");
        }
    }

    #[test]
    fn averages_come_before_the_variables_of_the_last_step() {
        let last = "mixed_8x8x2048b/branch1x1/Conv/weights";
        let names = ["conv0/weights", "conv0/weights/ExponentialMovingAverage", last, "x"];
        let expected = [names[1], last].map(str::to_owned);
        assert_eq!(variables(names), Some(expected.clone().into()));
        assert_eq!(variables(names.into_iter().rev()), Some(expected.into()));
        assert_eq!(variables(["conv0/weights", "g_net/x"]), None);
    }
}
