"""Times the peer. `cargo xtask bench --peer PYTHON` runs this, one process for one figure and memory layout.

    time_peer.py LAYOUT step NET STAGE BATCH TIMED   one training step, after one to warm up
    time_peer.py LAYOUT paint NET COUNT TIMED        256x256 pictures from embeddings, after one round to warm up
    time_peer.py LAYOUT start NET WEIGHTS OUT        reads weights, paints one picture, writes it as PPM
    time_peer.py LAYOUT model NET WEIGHTS            writes the weights that `start` reads
    time_peer.py LAYOUT about                        versions and threads

LAYOUT is `channels_last` or `contiguous`; NET is `plain`, `residual` (the paper's widths) or `coco`. One JSON line on stdout.
"""

import json
import os
import sys
import time

import torch

from game import COCO, PAPER, RECIPES, Batch, Noise, Players, draw

LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def network(name):
    return ("plain", COCO) if name == "coco" else (name, PAPER)


def peak_rss_kib():
    """The most memory that this process has held (Linux), or None."""
    try:
        with open("/proc/self/status") as status:
            return next((int(line.split()[1]) for line in status if line.startswith("VmHWM:")), None)
    except OSError:
        return None


def timed(count, work):
    """Milliseconds of each of `count` calls, after one."""
    times = []
    for _ in range(count + 1):
        started = time.perf_counter()
        work()
        times.append((time.perf_counter() - started) * 1e3)
    return times[1:]


def step(layout, name, stage, batch, count):
    recipe, net = network(name)
    stage, batch, generator = int(stage), int(batch), torch.Generator().manual_seed(0)
    players = Players(recipe, net, stage, layout=layout)
    size = 64 if stage == 1 else 256
    images = lambda: torch.randn(batch, 3, size, size, generator=generator).tanh().to(memory_format=layout)
    inputs = Batch(images(), images() if recipe == "residual" else None, torch.randn(batch, net.text, generator=generator))
    d_loss = []

    def work():
        noise = Noise(draw(net, batch, generator), draw(net, batch, generator) if recipe == "residual" else None)
        d_loss.append(players.step(inputs, noise)["d_loss"].item())

    return {"ms": timed(int(count), work), "d_loss": d_loss}


def painter(generator, net, text, draws):
    """Pictures as bytes, as generation would hand them on."""

    def work():
        with torch.inference_mode():
            image = generator(text, draw(net, len(text), draws))[0]
            return ((image + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    return work


def paint(layout, name, batch, count):
    recipe, net = network(name)
    generator = RECIPES[recipe].stage2_generator(net).eval().to(memory_format=layout)
    draws = torch.Generator().manual_seed(0)
    text = torch.randn(int(batch), net.text, generator=draws)
    return {"ms": timed(int(count), painter(generator, net, text, draws))}


def model(layout, name, weights):
    recipe, net = network(name)
    torch.save(RECIPES[recipe].stage2_generator(net).to(memory_format=layout).state_dict(), weights)
    return {}


def start(layout, name, weights, out):
    """The weights are mapped, not copied, into a network that was never filled: the fastest way that torch has."""
    recipe, net = network(name)
    with torch.device("meta"):
        generator = RECIPES[recipe].stage2_generator(net)
    generator.load_state_dict(torch.load(weights, mmap=True, weights_only=True), assign=True)
    draws = torch.Generator().manual_seed(0)
    picture = painter(generator.eval(), net, torch.randn(1, net.text, generator=draws), draws)()
    with open(out, "wb") as file:
        file.write(b"P6 256 256 255\n" + picture[0].numpy().tobytes())
    return {}


def about(layout):
    return {"torch": torch.__version__, "python": sys.version.split()[0], "cpu": torch.backends.cpu.get_cpu_capability()}


if __name__ == "__main__":
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count())
    layout, what, *rest = sys.argv[1:]
    functions = {"step": step, "paint": paint, "start": start, "model": model, "about": about}
    facts = functions[what](LAYOUTS[layout], *rest)
    print(json.dumps(facts | {"threads": torch.get_num_threads(), "peak_rss_kib": peak_rss_kib()}), flush=True)
