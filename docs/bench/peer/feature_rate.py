"""How many pictures a second torch-fidelity's Inception network measures, resize and all: the peer of
`cargo run --release -p stackgan-eval --example feature_rate`.

    python feature_rate.py weights WEIGHTS.pth WEIGHTS.safetensors    random weights for both sides
    python feature_rate.py rate WEIGHTS.pth [ROUNDS]                   seconds of each round of 32 pictures of 256x256

Needs torch and, from PyPI, torch-fidelity and safetensors.
"""

import sys
import time

import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

FEATURES = ["2048", "logits_unbiased"]


def weights(pth, safetensors):
    from safetensors.torch import save_file

    real = torch.load
    torch.load = lambda *args, **kwargs: None
    FeatureExtractorInceptionV3.load_state_dict = lambda self, state: None
    net = FeatureExtractorInceptionV3("x", FEATURES, feature_extractor_weights_path="none")
    torch.load = real
    torch.manual_seed(0)
    state = net.state_dict()
    for name, value in state.items():
        if value.dim() > 1:
            state[name] = torch.randn(value.shape) * (2.0 / value[0].numel()) ** 0.5
    torch.save(state, pth)
    save_file({k: v.contiguous() for k, v in state.items() if v.dim() > 0}, safetensors)


def rate(pth, rounds):
    net = FeatureExtractorInceptionV3("x", FEATURES, feature_extractor_weights_path=pth)
    pictures = torch.randint(0, 256, (32, 3, 256, 256), dtype=torch.uint8)
    with torch.inference_mode():
        for i in range(rounds + 1):
            start = time.perf_counter()
            for batch in pictures.split(16):
                net(batch)
            if i > 0:
                print(f"{time.perf_counter() - start:.3f}", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "weights":
        weights(sys.argv[2], sys.argv[3])
    else:
        rate(sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 5)
