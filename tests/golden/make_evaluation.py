"""Makes evaluation.json: what the references say of features, logits and pictures that both sides make by one formula.

    python make_evaluation.py FOLDER

Needs numpy, scipy, torch, Pillow, and from PyPI pytorch-fid 0.3.0, torch-fidelity 0.4.0, pytorch-msssim 1.0.0. Nothing is
computed by code of this repository.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from pytorch_fid.fid_score import calculate_frechet_distance
from pytorch_msssim import ms_ssim
from pytorch_msssim.ssim import _ssim
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kernel_mmd
from torch_fidelity.metric_prc import calculate_precision_recall_full


def uniform(key, n):
    """n numbers in [-1, 1) of 24 bits: splitmix64 of a counter that starts at key."""
    with np.errstate(over="ignore"):
        z = np.uint64(key) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def features(key, n, width, shift):
    """Correlated, none negative, as features after a ReLU and a mean are. f32."""
    u = uniform(key, n * width).reshape(n, width)
    return (1 + shift + u + 0.5 * np.roll(u, -1, axis=1) + np.arange(width) / width).astype(np.float32)


def picture(key, side):
    """A smooth picture with noise, uint8 (side, side, 3)."""
    y, x, c = np.meshgrid(np.arange(side), np.arange(side), np.arange(3), indexing="ij")
    base = (x * 3 + y * 2 + 40 * c + 7 * key) % 200
    noise = uniform(key, side * side * 3).reshape(side, side, 3)
    return np.floor(base + 25 + 25 * noise).astype(np.uint8)


def frechet(a, b):
    mean, cov = lambda f: f.astype(np.float64).mean(0), lambda f: np.cov(f.astype(np.float64), rowvar=False)
    return float(calculate_frechet_distance(mean(a), cov(a), mean(b), cov(b)))


def main(folder):
    golden = {}
    a, b = features(1, 400, 64, 0.0), features(2, 300, 64, 0.1)
    golden["fid"] = frechet(a, b)
    few = features(3, 40, 64, 0.1)  # fewer rows than features
    golden["fid_few"] = frechet(a, few)
    golden["mean"] = a.astype(np.float64).mean(0)[:5].tolist()
    golden["covariance"] = np.cov(a.astype(np.float64), rowvar=False)[:3, :3].ravel().tolist()

    kernel = dict(kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1)
    golden["mmd"] = float(kernel_mmd(a[:300].astype(np.float64), b.astype(np.float64), **kernel))

    logits = torch.from_numpy((6 * uniform(4, 1003 * 37)).reshape(1003, 37).astype(np.float32))
    isc = isc_features_to_metric(logits, splits=10, shuffle=False)
    golden["isc"] = [isc["inception_score_mean"], isc["inception_score_std"]]

    # f64: the reference compares distances of f32 by default, where rounding decides what lies on the edge of a ball
    as64 = lambda f: torch.from_numpy(f.astype(np.float64))
    c = features(5, 260, 12, 0.0)
    d = features(6, 310, 12, 0.25)
    golden["precision_recall"] = list(calculate_precision_recall_full(as64(c), as64(d), neighborhood=3))

    for side in (64, 175, 256):
        x, y = (torch.from_numpy(picture(key, side)).permute(2, 0, 1)[None].double() for key in (1, 2))
        weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
        if side == 64:
            weights = [w / sum(weights[:3]) for w in weights[:3]]
        golden[f"ms_ssim_{side}"] = scaled(x, y, weights)
    for side in (64, 256, 310):
        golden[f"fed_{side}"] = {name: np.round(fed.ravel()[::1499].numpy().astype(float), 7).tolist() for name, fed in protocols(side)}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items()]
    text = "{\n" + ",\n".join(lines) + "\n}\n"
    (Path(folder) / "evaluation.json").write_text(text)


def protocols(side):
    """What each protocol feeds its network for a picture: (3, 299, 299), or 224."""
    rgb = picture(3, side)
    x = torch.from_numpy(rgb).permute(2, 0, 1)[None].float()

    def pillow(to):
        resized = np.asarray(Image.fromarray(rgb).resize((to, to), Image.BILINEAR))
        return torch.from_numpy(resized.copy()).permute(2, 0, 1).float() / 127.5 - 1

    # pytorch-fid, inception.py
    yield "inception-fid", 2 * F.interpolate(x / 255, (299, 299), mode="bilinear", align_corners=False)[0] - 1
    # torch-fidelity, feature_extractor_inceptionv3.py
    legacy = interpolate_bilinear_2d_like_tensorflow1x(x, size=(299, 299), align_corners=False)
    yield "inception-fid-tf1", ((legacy - 128) / 128)[0]
    # AttnGAN's followers resize with Pillow before their network, whose own resize then changes nothing
    resized = (pillow(299) + 1) / 2
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    yield "inception-torchvision", resized * (deviation / 0.5)[:, None, None] + ((mean - 0.5) / 0.5)[:, None, None]
    # StackGAN-inception-model: scipy's imresize is Pillow's resize
    yield "inception-stackgan", pillow(299)
    yield "efficientnet-lite0", pillow(224)


def scaled(x, y, weights):
    """ms_ssim of pytorch-msssim with its window in f64; for fewer than five scales its steps, which it refuses on small pictures."""
    at = torch.arange(11, dtype=torch.float64) - 5
    window = torch.exp(-(at**2) / (2 * 1.5**2))
    window = (window / window.sum()).reshape(1, 1, 1, 11).repeat(3, 1, 1, 1)
    if len(weights) == 5:
        return float(ms_ssim(x, y, data_range=255, win=window, weights=weights))
    parts = []
    for scale in range(len(weights)):
        similarity, contrast = _ssim(x, y, data_range=255, win=window, size_average=False)
        if scale < len(weights) - 1:
            parts.append(torch.relu(contrast))
            padding = [s % 2 for s in x.shape[2:]]
            x, y = (F.avg_pool2d(v, 2, padding=padding) for v in (x, y))
    parts.append(torch.relu(similarity))
    stacked = torch.stack(parts)
    return float(torch.prod(stacked ** torch.tensor(weights, dtype=x.dtype).view(-1, 1, 1), dim=0).mean())


if __name__ == "__main__":
    main(sys.argv[1])
