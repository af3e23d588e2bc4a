"""The layers that both recipes are made of. Names of tensors are those of our model files.

Statements of `crates/stackgan-core/src/{layers,cond_aug,refiner,losses}.rs` in PyTorch, written to be fast there: in-place
activations, one call for batch norm, no hooks.
"""

import torch
from torch import nn
from torch.nn import functional as F

LEAK = 0.2  # slope of every LeakyReLU of both releases


class BatchNorm(nn.Module):
    """Over everything but the channel. `biased`: the running variance takes the sum of squares over N (TensorFlow) instead of
    N - 1 (PyTorch)."""

    def __init__(self, channels, biased):
        super().__init__()
        self.biased = biased
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x):
        correct = self.training and self.biased
        unbiased = self.running_var.clone() if correct else self.running_var
        y = F.batch_norm(x, self.running_mean, unbiased, self.weight, self.bias, self.training, 0.1, 1e-5)
        if correct:  # unbiased = 0.9 old + 0.1 v n / (n - 1), and 0.9 old + 0.1 v is wanted
            n = x.numel() // x.shape[1]
            self.running_var.mul_(0.9 / n).add_(unbiased, alpha=(n - 1) / n)
        return y


def relu():
    return nn.ReLU(inplace=True)


def leaky():
    return nn.LeakyReLU(LEAK, inplace=True)


def point(a, b):
    return nn.Conv2d(a, b, 1, bias=False)


def three(a, b):
    return nn.Conv2d(a, b, 3, 1, 1, bias=False)


def halve(a, b):
    return nn.Conv2d(a, b, 4, 2, 1, bias=False)


def up_block(a, b, biased, activation):
    """Nearest x2, 3x3 convolution (`1`), batch norm (`2`)."""
    return nn.Sequential(nn.Upsample(scale_factor=2), three(a, b), BatchNorm(b, biased), *activation)


class Residual(nn.Module):
    """`block` around a short cut, and an activation after the addition."""

    def __init__(self, block, activation):
        super().__init__()
        self.block, self.activation = block, activation

    def forward(self, x):
        return self.activation(x + self.block(x))


class Augmentation(nn.Module):
    """Conditioning augmentation: c = mu + sigma epsilon. `log_variance`: the second half is log sigma squared and the activation
    ReLU (PyTorch release), else log sigma and LeakyReLU (TensorFlow release)."""

    def __init__(self, text, cond, log_variance):
        super().__init__()
        self.fc = nn.Linear(text, 2 * cond)
        self.log_variance = log_variance

    def forward(self, text, epsilon):
        x = self.fc(text)
        mu, scale = (F.relu(x) if self.log_variance else F.leaky_relu(x, LEAK)).chunk(2, 1)
        sigma = torch.exp(0.5 * scale if self.log_variance else scale)
        return mu + sigma * epsilon, mu, scale

    def kl(self, mu, scale):
        """KL(N(mu, sigma squared) || N(0, 1)), averaged over batch and dimensions."""
        logvar = scale if self.log_variance else 2 * scale
        return -0.5 * (1 + logvar - mu * mu - logvar.exp()).mean()


def tiled(features, vector):
    """`vector` (batch, b) tiled over the map and appended to `features` (batch, a, h, w)."""
    maps = vector[:, :, None, None].expand(-1, -1, *features.shape[2:])
    return torch.cat([features, maps], 1)


def cross_entropy(logits, label):
    """Binary cross-entropy of logits against one label for all."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


class Stage2Generator(nn.Module):
    """Stage-I frozen, conditioning augmentation of its own, and the refining network: 64x64 to 256x256."""

    def __init__(self, net, stage1, biased):
        super().__init__()
        g = net.gf
        norm = lambda c: BatchNorm(c, biased)
        block = lambda: nn.Sequential(three(4 * g, 4 * g), norm(4 * g), relu(), three(4 * g, 4 * g), norm(4 * g))
        self.STAGE1_G = stage1.requires_grad_(False)
        self.ca_net = Augmentation(net.text, net.cond, log_variance=not biased)
        self.encoder = nn.Sequential(
            three(3, g), relu(), halve(g, 2 * g), norm(2 * g), relu(), halve(2 * g, 4 * g), norm(4 * g), relu()
        )
        self.hr_joint = nn.Sequential(three(4 * g + net.cond, 4 * g), norm(4 * g), relu())
        self.residual = nn.Sequential(*(Residual(block(), relu()) for _ in range(net.res)))
        up = lambda a, b: up_block(a, b, biased, [relu()])
        self.upsample1, self.upsample2 = up(4 * g, 2 * g), up(2 * g, g)
        self.upsample3, self.upsample4 = up(g, g // 2), up(g // 2, g // 4)
        self.img = nn.Sequential(three(g // 4, 3), nn.Tanh())

    def forward(self, text, noise):
        """The picture, mu and scale of this stage's conditioning, and the Stage-I picture."""
        z, eps1, eps2 = noise
        with torch.no_grad():
            low = self.STAGE1_G(text, (z, eps1, None))[0]
        c, mu, scale = self.ca_net(text, eps2)
        x = self.residual(self.hr_joint(tiled(self.encoder(low), c)))
        x = self.upsample4(self.upsample3(self.upsample2(self.upsample1(x))))
        return self.img(x), mu, scale, low
