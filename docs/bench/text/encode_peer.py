"""Captions that a char-CNN-RNN in PyTorch encodes in a second, at the full width of the release, random weights.

python encode_peer.py CAPTIONS [COUNT] [BATCH] [FIXTURE]

The network as `nn.Conv1d` over one-hot rows, which are made by scattering, under `inference_mode`. With FIXTURE
(tests/golden/char_cnn_rnn.safetensors) it only checks itself on the golden values.
"""

import json
import os
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
INDEX = {c: i for i, c in enumerate(ALPHABET)}  # of the two hyphens the last one counts
LENGTH = 201


class Encoder(nn.Module):
    def __init__(self, conv1=384, conv2=512, units=512, dim=1024):
        super().__init__()
        self.conv1 = nn.Conv1d(70, conv1, 4)
        self.conv2 = nn.Conv1d(conv1, conv2, 4)
        self.conv3 = nn.Conv1d(conv2, units, 4)
        self.i2h = nn.Linear(units, 3 * units)  # update, reset, candidate
        self.h2h_gates = nn.Linear(units, 2 * units)
        self.h2h = nn.Linear(units, units)
        self.emb_proj = nn.Linear(units, dim)

    def forward(self, x):
        x = F.max_pool1d(F.threshold(self.conv1(x), 1e-6, 0), 3, 3)
        x = F.max_pool1d(F.threshold(self.conv2(x), 1e-6, 0), 3, 3)
        x = F.threshold(self.conv3(x), 1e-6, 0)
        update_in, reset_in, candidate_in = self.i2h(x.permute(2, 0, 1)).chunk(3, dim=-1)
        h = torch.tanh(candidate_in[0])
        total = h
        for t in range(1, candidate_in.shape[0]):
            update_h, reset_h = self.h2h_gates(h).chunk(2, dim=-1)
            update = torch.sigmoid(update_in[t] + update_h)
            reset = torch.sigmoid(reset_in[t] + reset_h)
            candidate = torch.tanh(candidate_in[t] + self.h2h(reset * h))
            h = torch.lerp(h, candidate, update)
            total = total + h
        return self.emb_proj(total / candidate_in.shape[0])


def one_hot(captions):
    rows, places, channels = [], [], []
    for row, caption in enumerate(captions):
        for place, character in enumerate(caption[:LENGTH].lower()[:LENGTH]):
            channel = INDEX.get(character)
            if channel is not None:
                rows.append(row)
                places.append(place)
                channels.append(channel)
    x = torch.zeros(len(captions), 70, LENGTH)
    x[rows, channels, places] = 1.0
    return x


def check(fixture):
    from safetensors import safe_open

    with safe_open(fixture, "pt") as f:
        w = {k[len("gru18.w.") :]: f.get_tensor(k) for k in f.keys() if k.startswith("gru18.w.")}
        expected = f.get_tensor("gru18.embedding")
        captions = json.loads(f.metadata()["captions"])
    net = Encoder(*(w[f"conv{i}.bias"].numel() for i in (1, 2, 3)), w["emb_proj.bias"].numel())
    state = {k: v for k, v in w.items() if not k.startswith("rnn.")}
    for part in ("weight", "bias"):
        gates = [w[f"rnn.i2h{gate}.{part}"] for gate in ("_update", "_reset", "")]
        state[f"i2h.{part}"] = torch.cat(gates)
        state[f"h2h_gates.{part}"] = torch.cat([w[f"rnn.h2h_{gate}.{part}"] for gate in ("update", "reset")])
        state[f"h2h.{part}"] = w[f"rnn.h2h.{part}"]
    net.load_state_dict(state)
    with torch.inference_mode():
        worst = (net(one_hot(captions)) - expected).abs().max() / expected.abs().max()
    print(f"largest difference {worst:.1e}")
    assert worst < 1e-5


def main():
    path = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else None
    batch = int(sys.argv[3]) if len(sys.argv) > 3 else 128
    if len(sys.argv) > 4:
        return check(sys.argv[4])
    torch.set_num_threads(os.cpu_count())
    torch.manual_seed(0)
    with open(path, encoding="utf-8") as f:
        captions = f.read().splitlines()[:count]
    net = Encoder().eval()
    with torch.inference_mode():
        net(one_hot(captions[:batch]))
        started = time.perf_counter()
        for start in range(0, len(captions), batch):
            vectors = net(one_hot(captions[start : start + batch]))
            assert torch.isfinite(vectors).all()
        print(f"{len(captions) / (time.perf_counter() - started):.1f}")


if __name__ == "__main__":
    main()
