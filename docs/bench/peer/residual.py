"""The `residual` recipe: the TensorFlow release (birds, flowers). Statement of `crates/stackgan-core/src/residual` and
`train/src/step/residual.rs`."""

import torch
from torch import nn

from layers import (Augmentation, BatchNorm, Residual, Stage2Generator, cross_entropy, halve, leaky, point, relu, three, tiled,
                    up_block)


def norm(channels):
    return BatchNorm(channels, biased=True)


def bottleneck(channels, activation):
    """1x1 down to a quarter of the channels, 3x3, 3x3 back up, around a short cut."""
    quarter = channels // 4
    block = nn.Sequential(
        point(channels, quarter), norm(quarter), activation(),
        three(quarter, quarter), norm(quarter), activation(),
        three(quarter, channels), norm(channels),
    )
    return Residual(block, activation())


class Stage1Generator(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.ngf = n = 8 * net.gf
        self.ca_net = Augmentation(net.text, net.cond, log_variance=False)
        self.fc = nn.Sequential(nn.Linear(net.cond + net.z, n * 16), norm(n * 16))
        self.residual1 = bottleneck(n, relu)
        self.upsample1 = up_block(n, n // 2, True, [])
        self.residual2 = bottleneck(n // 2, relu)
        self.upsample2 = up_block(n // 2, n // 4, True, [relu()])
        self.upsample3 = up_block(n // 4, n // 8, True, [relu()])
        self.img = nn.Sequential(nn.Upsample(scale_factor=2), three(n // 8, 3), nn.Tanh())

    def forward(self, text, noise):
        z, eps1, _ = noise
        c, mu, scale = self.ca_net(text, eps1)
        x = self.fc(torch.cat([c, z], 1)).view(-1, self.ngf, 4, 4)
        x = self.residual2(self.upsample1(self.residual1(x)))
        return self.img(self.upsample3(self.upsample2(x))), mu, scale, None


class Head(nn.Module):
    """The text's own layer, joined to the features by a 1x1 convolution."""

    def __init__(self, net):
        super().__init__()
        n = net.df
        self.text_net = nn.Sequential(nn.Linear(net.text, net.cond), leaky())
        self.outlogits = nn.Sequential(
            point(8 * n + net.cond, 8 * n), norm(8 * n), leaky(), nn.Conv2d(8 * n, 1, 4, 4, bias=False)
        )

    def forward(self, features, text):
        return self.outlogits(tiled(features, self.text_net(text))).flatten()


class Discriminator(nn.Module):
    def __init__(self, net, stage):
        super().__init__()
        n = net.df
        layers = [halve(3, n), leaky(), halve(n, 2 * n), norm(2 * n), leaky()]
        if stage == 1:  # no activation after the third and the fourth convolution
            layers += [halve(2 * n, 4 * n), norm(4 * n), halve(4 * n, 8 * n), norm(8 * n)]
        else:
            for a in (2 * n, 4 * n, 8 * n, 16 * n):
                layers += [halve(a, 2 * a), norm(2 * a), leaky()]
            layers += [point(32 * n, 16 * n), norm(16 * n), leaky(), point(16 * n, 8 * n), norm(8 * n)]
        self.encode_img = nn.Sequential(*layers)
        self.residual = bottleneck(8 * n, leaky)
        self.head = Head(net)

    def forward(self, images, text):
        return self.head(self.residual(self.encode_img(images)), text)


def stage2_generator(net):
    """Stage-II's generator with its Stage-I."""
    return Stage2Generator(net, Stage1Generator(net), biased=True)


def networks(net, stage):
    """G and D of a stage."""
    return Stage1Generator(net) if stage == 1 else stage2_generator(net), Discriminator(net, stage)


def step(players, batch, noise, kl_weight):
    """D sees real, wrong and fake pictures in three passes; then G is stepped on a fake of fresh noise. Losses by name."""
    g, d, text = players.g, players.d, batch.text
    with torch.no_grad():
        fake = g(text, noise.d)[0]

    players.train_d(True)
    d_real = cross_entropy(d(batch.real, text), 1.0)
    d_wrong = cross_entropy(d(batch.wrong, text), 0.0)
    d_fake = cross_entropy(d(fake, text), 0.0)
    d_loss = d_real + 0.5 * (d_wrong + d_fake)
    players.descend("d", d_loss)

    players.train_d(False)
    fake, mu, scale, _ = g(text, noise.g)
    g_adv, kl = cross_entropy(d(fake, text), 1.0), g.ca_net.kl(mu, scale)
    players.descend("g", g_adv + kl_weight * kl)
    return {"d_loss": d_loss, "d_real": d_real, "d_wrong": d_wrong, "d_fake": d_fake, "g_adv": g_adv, "kl": kl}
