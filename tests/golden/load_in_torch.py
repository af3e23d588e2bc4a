"""Shows that PyTorch takes what `stackgan model export` writes, and paints the same picture from it.

    stackgan model import netG.pth --out model.safetensors
    stackgan model export model.safetensors --out netG.safetensors
    python load_in_torch.py netG.safetensors picture.safetensors
    cargo run -p stackgan-core --example paint_tensors -- model.safetensors picture.safetensors

The modules restate the generators of the PyTorch release, layer by layer; `load_state_dict(strict=True)` takes every tensor or fails.
Text and noise are drawn here, and written with the picture that PyTorch paints from them; the example paints from the same.
`num_batches_tracked` counters are not in the release's files and PyTorch does not ask for them in a state dict without a version.
Needs torch and safetensors. No test runs this: tests need no Python.
"""
import sys

import torch
from safetensors.torch import load_file, save_file
from torch import nn


def up(wide, narrow):
    conv = nn.Conv2d(wide, narrow, 3, 1, 1, bias=False)
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), conv, nn.BatchNorm2d(narrow), nn.ReLU())


class Conditioning(nn.Module):
    def __init__(self, text, cond):
        super().__init__()
        self.fc = nn.Linear(text, 2 * cond)

    def forward(self, text, eps):
        mu, logvar = torch.relu(self.fc(text)).chunk(2, 1)
        return mu + eps * torch.exp(logvar / 2)


class Rising(nn.Module):
    """Four times twice the pixels, then a picture."""

    def __init__(self, wide):
        super().__init__()
        for block in range(1, 5):
            setattr(self, f"upsample{block}", up(wide >> (block - 1), wide >> block))
        self.img = nn.Sequential(nn.Conv2d(wide >> 4, 3, 3, 1, 1, bias=False), nn.Tanh())

    def rise(self, x):
        for block in range(1, 5):
            x = getattr(self, f"upsample{block}")(x)
        return self.img(x)


class Stage1(Rising):
    def __init__(self, text, cond, z, gf):
        super().__init__(8 * gf)
        self.ca_net = Conditioning(text, cond)
        self.fc = nn.Sequential(nn.Linear(z + cond, 128 * gf, bias=False), nn.BatchNorm1d(128 * gf), nn.ReLU())

    def forward(self, text, z, eps):
        x = self.fc(torch.cat([z, self.ca_net(text, eps)], 1))
        return self.rise(x.view(len(x), -1, 4, 4))


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        conv = lambda: nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.block = nn.Sequential(conv(), nn.BatchNorm2d(width), nn.ReLU(), conv(), nn.BatchNorm2d(width))

    def forward(self, x):
        return torch.relu(x + self.block(x))


class Stage2(Rising):
    def __init__(self, text, cond, z, gf, blocks):
        wide = 4 * gf
        super().__init__(wide)
        self.STAGE1_G = Stage1(text, cond, z, gf)
        self.ca_net = Conditioning(text, cond)
        conv = lambda a, b, k, s: nn.Conv2d(a, b, k, s, 1, bias=False)
        self.encoder = nn.Sequential(
            conv(3, gf, 3, 1), nn.ReLU(),
            conv(gf, 2 * gf, 4, 2), nn.BatchNorm2d(2 * gf), nn.ReLU(),
            conv(2 * gf, wide, 4, 2), nn.BatchNorm2d(wide), nn.ReLU(),
        )
        self.hr_joint = nn.Sequential(conv(wide + cond, wide, 3, 1), nn.BatchNorm2d(wide), nn.ReLU())
        self.residual = nn.Sequential(*(Residual(wide) for _ in range(blocks)))

    def forward(self, text, z, eps1, eps2):
        x = self.encoder(self.STAGE1_G(text, z, eps1))
        c = self.ca_net(text, eps2)[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return self.rise(self.residual(self.hr_joint(torch.cat([x, c], 1))))


def main(weights, out):
    state = load_file(weights)
    two = any(name.startswith("STAGE1_G.") for name in state)
    first = "STAGE1_G." if two else ""
    twice, text = state[first + "ca_net.fc.weight"].shape
    units, inputs = state[first + "fc.0.weight"].shape
    cond, gf = twice // 2, units // 128
    sizes = (text, cond, inputs - cond, gf)
    blocks = len({name.split(".")[1] for name in state if name.startswith("residual.")})
    net = Stage2(*sizes, blocks) if two else Stage1(*sizes)
    print(net.load_state_dict(state, strict=True), len(state), "tensors into", type(net).__name__)
    net.eval()
    torch.manual_seed(2017)
    draw = lambda width: torch.randn(2, width)
    given = {"text": draw(text), "z": draw(inputs - cond), "eps1": draw(cond), "eps2": draw(cond)}
    with torch.no_grad():
        noise = (given["z"], given["eps1"], given["eps2"]) if two else (given["z"], given["eps1"])
        given["picture"] = net(given["text"], *noise).contiguous()
    picture = given["picture"]
    print("paints", tuple(picture.shape), "mean", float(picture.mean()), "deviation", float(picture.std()))
    save_file(given, out)


main(*sys.argv[1:])
