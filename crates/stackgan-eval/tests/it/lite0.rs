//! EfficientNet-Lite0 with weights by a formula.

use std::collections::BTreeMap;

use candle_core::Tensor;

use crate::weights::weights;

/// Returns tensors with the names and shapes of the published file. Blocks are given as (input,
/// output, expansion, kernel).
pub(crate) fn lite0() -> BTreeMap<String, Tensor> {
    let mut shapes = BTreeMap::new();
    let mut conv = |conv: String, norm: String, shape: [usize; 4]| {
        for part in ["weight", "bias", "running_mean", "running_var"] {
            shapes.insert(format!("{norm}.{part}"), vec![shape[0]]);
        }
        shapes.insert(format!("{conv}.weight"), shape.to_vec());
    };
    let blocks = [
        (32, 16, 1, 3),
        (16, 24, 6, 3),
        (24, 24, 6, 3),
        (24, 40, 6, 5),
        (40, 40, 6, 5),
        (40, 80, 6, 3),
        (80, 80, 6, 3),
        (80, 80, 6, 3),
        (80, 112, 6, 5),
        (112, 112, 6, 5),
        (112, 112, 6, 5),
        (112, 192, 6, 5),
        (192, 192, 6, 5),
        (192, 192, 6, 5),
        (192, 192, 6, 5),
        (192, 320, 6, 3),
    ];
    conv("_conv_stem".into(), "_bn0".into(), [32, 3, 3, 3]);
    for (i, (input, output, expansion, k)) in blocks.into_iter().enumerate() {
        let wide = input * expansion;
        let at = |name: &str| format!("_blocks.{i}.{name}");
        if expansion > 1 {
            conv(at("_expand_conv"), at("_bn0"), [wide, input, 1, 1]);
        }
        conv(at("_depthwise_conv"), at("_bn1"), [wide, 1, k, k]);
        conv(at("_project_conv"), at("_bn2"), [output, wide, 1, 1]);
    }
    conv("_conv_head".into(), "_bn1".into(), [1280, 320, 1, 1]);
    shapes.insert("_fc.weight".into(), vec![1000, 1280]);
    shapes.insert("_fc.bias".into(), vec![1000]);
    weights(shapes)
}
