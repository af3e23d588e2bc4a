"""The `plain` recipe: the PyTorch release (COCO). Statement of `crates/stackgan-core/src/plain` and `train/src/step/plain.rs`."""

import torch
from torch import nn

from layers import (Augmentation, BatchNorm, Stage2Generator, cross_entropy, halve, leaky, relu, three, tiled, up_block)


class Stage1Generator(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.ngf = n = 8 * net.gf
        self.ca_net = Augmentation(net.text, net.cond, log_variance=True)
        self.fc = nn.Sequential(nn.Linear(net.cond + net.z, n * 16, bias=False), BatchNorm(n * 16, False), relu())
        up = lambda a, b: up_block(a, b, False, [relu()])
        self.upsample1, self.upsample2 = up(n, n // 2), up(n // 2, n // 4)
        self.upsample3, self.upsample4 = up(n // 4, n // 8), up(n // 8, n // 16)
        self.img = nn.Sequential(three(n // 16, 3), nn.Tanh())

    def forward(self, text, noise):
        z, eps1, _ = noise
        c, mu, scale = self.ca_net(text, eps1)
        x = self.fc(torch.cat([z, c], 1)).view(-1, self.ngf, 4, 4)
        x = self.upsample4(self.upsample3(self.upsample2(self.upsample1(x))))
        return self.img(x), mu, scale, None


class Head(nn.Module):
    """`outlogits`: with a text code a 3x3 convolution before the last layer, without it that layer alone."""

    def __init__(self, n, cond=None):
        super().__init__()
        last = nn.Conv2d(8 * n, 1, 4, 4)
        joint = [] if cond is None else [three(8 * n + cond, 8 * n), BatchNorm(8 * n, False), leaky()]
        self.outlogits = nn.Sequential(*joint, last)

    def forward(self, features, code=None):
        return self.outlogits(features if code is None else tiled(features, code)).flatten()


class Discriminator(nn.Module):
    def __init__(self, net, stage):
        super().__init__()
        n = net.df
        widths = [n, 2 * n, 4 * n, 8 * n] + ([16 * n, 32 * n] if stage == 2 else [])
        layers = [halve(3, n), leaky()]
        for a, b in zip(widths, widths[1:]):
            layers += [halve(a, b), BatchNorm(b, False), leaky()]
        if stage == 2:
            for a, b in ((32 * n, 16 * n), (16 * n, 8 * n)):
                layers += [three(a, b), BatchNorm(b, False), leaky()]
        self.encode_img = nn.Sequential(*layers)
        self.get_cond_logits = Head(n, net.cond)
        self.get_uncond_logits = Head(n) if stage == 2 else None


def stage2_generator(net):
    """Stage-II's generator with its Stage-I."""
    return Stage2Generator(net, Stage1Generator(net), biased=False)


def networks(net, stage):
    """G and D of a stage."""
    return Stage1Generator(net) if stage == 1 else stage2_generator(net), Discriminator(net, stage)


def step(players, batch, noise, kl_weight):
    """One fake for both players; wrong pairs are each picture's features with the next sample's code. Losses by name."""
    g, d = players.g, players.d
    fake, mu, scale, _ = g(batch.text, noise.d)
    code = mu.detach()

    players.train_d(True)
    real, painted = d.encode_img(batch.real), d.encode_img(fake.detach())
    d_real = cross_entropy(d.get_cond_logits(real, code), 1.0)
    d_wrong = cross_entropy(d.get_cond_logits(real[:-1], code[1:]), 0.0)
    d_fake = cross_entropy(d.get_cond_logits(painted, code), 0.0)
    if d.get_uncond_logits is None:
        d_loss = d_real + 0.5 * (d_fake + d_wrong)
    else:
        real_alone = cross_entropy(d.get_uncond_logits(real), 1.0)
        fake_alone = cross_entropy(d.get_uncond_logits(painted), 0.0)
        against = (d_fake + d_wrong + fake_alone) / 3.0
        d_real, d_fake = 0.5 * (d_real + real_alone), 0.5 * (d_fake + fake_alone)
        d_loss = d_real + against
    players.descend("d", d_loss)

    players.train_d(False)
    features = d.encode_img(fake)
    g_adv = cross_entropy(d.get_cond_logits(features, code), 1.0)
    if d.get_uncond_logits is not None:
        g_adv = g_adv + cross_entropy(d.get_uncond_logits(features), 1.0)
    kl = g.ca_net.kl(mu, scale)
    players.descend("g", g_adv + kl_weight * kl)
    return {"d_loss": d_loss, "d_real": d_real, "d_wrong": d_wrong, "d_fake": d_fake, "g_adv": g_adv, "kl": kl}
