"""What both recipes' steps share: sizes, a batch, noise, the players and their optimisers."""

from collections import namedtuple

import torch

import plain
import residual

RECIPES = {"plain": plain, "residual": residual}

Net = namedtuple("Net", "gf df text cond z res")
PAPER = Net(gf=128, df=64, text=1024, cond=128, z=100, res=4)
COCO = PAPER._replace(gf=192, df=96, res=2)

Batch = namedtuple("Batch", "real wrong text")
Noise = namedtuple("Noise", "d g")  # each (z, eps1, eps2)


class Players:
    """G and D in training mode, each with an Adam of the releases' constants."""

    def __init__(self, recipe, net, stage, lr=2e-4, layout=torch.contiguous_format):
        self.recipe = RECIPES[recipe]
        self.g, self.d = (m.to(memory_format=layout) for m in self.recipe.networks(net, stage))
        adam = lambda m: torch.optim.Adam(
            [p for p in m.parameters() if p.requires_grad], lr=lr, betas=(0.5, 0.999), eps=1e-8, fused=True
        )
        self.adam = {"g": adam(self.g), "d": adam(self.d)}

    def train_d(self, on):
        """Whether D's weights record gradients; in G's step they do not."""
        self.d.requires_grad_(on)

    def descend(self, who, loss):
        self.adam[who].zero_grad(set_to_none=True)
        loss.backward()
        self.adam[who].step()

    def step(self, batch, noise, kl_weight=2.0):
        return self.recipe.step(self, batch, noise, kl_weight)


def draw(net, batch, generator):
    """Noise of a batch: z, eps1, eps2."""
    normal = lambda width: torch.randn(batch, width, generator=generator)
    return normal(net.z), normal(net.cond), normal(net.cond)
