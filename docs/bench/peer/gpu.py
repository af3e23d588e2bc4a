"""Times the peer on a GPU: training steps of both stages, and painting, each in several modes.

    python gpu.py                                     all figures in all modes
    python gpu.py --figures stage1,paint --modes eager-bf16
    python gpu.py --device cpu --small --seconds 0.2  whether it works, where there is no GPU

A mode is how the networks compute, MODES below; all have weights and pictures in channels_last, Adam fused, cuDNN choosing its
algorithms by trial, and TF32 where a number is f32. A step is the whole game of `game.py`, noise drawn on the device; no loss is read. One JSON
line for each (figure, mode) as soon as it is measured: `seconds` is the median over groups of steps of the seconds of one step (or
one batch of pictures), `spread` the most less the least over the median, `peak_mib` the most memory of torch's tensors while timed
(`reserved_mib`: with what its allocator holds), `prepare_seconds` what warming up, and compiling, took. An error is a line too.
"""

import argparse
import gc
import json
import signal
import statistics
import time

import torch

from game import PAPER, RECIPES, Batch, Noise, Players

LAYOUT = torch.channels_last
MODES = {  # name: (autocast to bf16, torch.compile)
    "eager-tf32": (False, False),
    "eager-bf16": (True, False),
    "compile-bf16": (True, True),
    "compile-tf32": (False, True),
}
FIGURES = {"stage1-b64": (1, 64), "stage2-b16": (2, 16), "stage2-b64": (2, 64), "paint-64": (None, 64)}
SMALL = PAPER._replace(gf=8, df=4, text=16, cond=8, z=8, res=1)
GROUPS = 7
STARTED = time.perf_counter()


def say(**facts):
    print(json.dumps(facts), flush=True)


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def timed(device, seconds, work):
    """Seconds of one call in each of the groups, after warming up, and the calls in all."""
    for _ in range(3):
        work()
    wait(device)
    begun = time.perf_counter()
    work()
    work()
    wait(device)
    one = (time.perf_counter() - begun) / 2
    count = max(1, round(seconds / GROUPS / one))
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(GROUPS):
        if device == "cuda":
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
        begun = time.perf_counter()
        for _ in range(count):
            work()
        if device == "cuda":
            last.record()
            last.synchronize()
            times.append(first.elapsed_time(last) / 1e3 / count)
        else:
            times.append((time.perf_counter() - begun) / count)
    return times, count * GROUPS


def summary(times):
    median = statistics.median(times)
    return median, (max(times) - min(times)) / median


def whole(value):
    """Every tensor of an output in f32: losses are taken in it."""
    if isinstance(value, tuple):
        return tuple(map(whole, value))
    return value.float() if torch.is_tensor(value) else value


def arm(module, device, bf16, compiled):
    """Gives `module` the forward of a mode. Its autocast ends with the forward, and with it the cache of weights in bf16: casts made
    without gradients are not used where gradients are wanted, nor old weights after a step of Adam."""
    forward = torch.compile(module.forward, dynamic=False) if compiled else module.forward
    if bf16:

        def cast(*inputs):
            with torch.autocast(device, dtype=torch.bfloat16):
                out = forward(*inputs)
            return whole(out)

        module.forward = cast
    else:
        module.forward = forward


def forwards(recipe, g, d):
    """The modules that a step calls."""
    parts = [d] if recipe == "residual" else [d.encode_img, d.get_cond_logits, d.get_uncond_logits]
    return [g] + [part for part in parts if part is not None]


def draw(net, batch, device):
    normal = lambda width: torch.randn(batch, width, device=device)
    return normal(net.z), normal(net.cond), normal(net.cond)


def step(recipe, net, stage, batch, device, mode):
    """A full training step, as a function."""
    with torch.device(device):
        players = Players(recipe, net, stage, layout=LAYOUT)
    for module in forwards(recipe, players.g, players.d):
        arm(module, device, *mode)
    size = 64 if stage == 1 else 256
    images = lambda: torch.randn(batch, 3, size, size, device=device).tanh().to(memory_format=LAYOUT)
    twice = recipe == "residual"  # it draws anew for G, and has wrong pictures
    inputs = Batch(images(), images() if twice else None, torch.randn(batch, net.text, device=device))

    def work():
        players.step(inputs, Noise(draw(net, batch, device), draw(net, batch, device) if twice else None))

    work()
    for name, player in (("G", players.g), ("D", players.d)):
        for weight, value in player.named_parameters():
            trained = name == "D" or value.requires_grad
            if trained and value.grad is None:
                raise RuntimeError(f"{weight} of {name} has no gradient: this is not the whole step")
    return work


def paint(recipe, net, batch, device, mode):
    """Pictures as bytes on the host from embeddings, as a function."""
    with torch.device(device):
        generator = RECIPES[recipe].stage2_generator(net).eval().to(memory_format=LAYOUT)
    arm(generator, device, *mode)
    text = torch.randn(batch, net.text, device=device)

    def work():
        with torch.no_grad():
            image = generator(text, draw(net, batch, device))[0]
            return ((image + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu()

    return work


def measure(name, options, mode):
    stage, batch = FIGURES[name]
    net, device = (SMALL if options.small else PAPER), options.device
    batch = min(batch, 4) if options.small else batch
    begun = time.perf_counter()
    if stage is None:
        work = paint(options.recipe, net, batch, device, MODES[mode])
    else:
        work = step(options.recipe, net, stage, batch, device, MODES[mode])
    for _ in range(3):
        work()
    wait(device)
    prepared = time.perf_counter() - begun
    times, steps = timed(device, options.seconds, work)
    median, spread = summary(times)
    facts = {"seconds": median, "spread": round(spread, 4), "steps": steps, "peak_mib": None}
    if device == "cuda":
        facts["peak_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
        facts["reserved_mib"] = round(torch.cuda.max_memory_reserved() / 2**20)
    return facts | {"pictures_per_second": round(batch / median, 2), "batch": batch, "prepare_seconds": round(prepared, 2)}


def machine(options):
    """What the machine reaches: large products in bf16 and TF32, and a copy (bytes read and written)."""
    side, items = (256, 2**20) if options.small else (8192, 2**30)
    facts = {}
    for name, kind in (("bf16", torch.bfloat16), ("tf32", torch.float32)):
        a, b = (torch.randn(side, side, device=options.device, dtype=kind) for _ in range(2))
        median, _ = summary(timed(options.device, options.seconds / 2, lambda: a @ b)[0])
        facts[f"{name}_tflops"] = round(2 * side**3 / median / 1e12, 3)
    source = torch.zeros(items, device=options.device)
    target = torch.empty_like(source)
    median, _ = summary(timed(options.device, options.seconds / 2, lambda: target.copy_(source))[0])
    return facts | {"copy_tb_per_second": round(2 * 4 * items / median / 1e12, 4), "side": side}


def attempt(options, facts, work):
    """One line: what `work` measured, or why it did not. It gets the time that is left."""
    left = options.budget - (time.perf_counter() - STARTED)
    if left <= 0:
        return say(**facts, skipped=f"the budget of {options.budget:g} s is used up")
    signal.setitimer(signal.ITIMER_REAL, left)
    try:
        measured = work()
        signal.setitimer(signal.ITIMER_REAL, 0)
        say(**facts, **measured)
    except Exception as error:  # one figure that fails must not cost the others
        say(**facts, error=f"{type(error).__name__}: {error}"[:600])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def clean(device):
    torch.compiler.reset()
    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def timeout(*_):
    raise TimeoutError("the budget ended while this was measured")


def main():
    names = lambda text: [part for part in text.split(",") if part]
    parser = argparse.ArgumentParser(description="Times the peer on a GPU; a JSON line for each figure and mode.")
    parser.add_argument("--figures", type=names, default=[""], help=f"parts of names of: {', '.join(FIGURES)}, machine")
    parser.add_argument("--modes", type=names, default=list(MODES), help=f"of: {', '.join(MODES)}")
    parser.add_argument("--recipe", choices=RECIPES, default="residual")
    parser.add_argument("--seconds", type=float, default=2.0, help="timed seconds of each measurement")
    parser.add_argument("--budget", type=float, default=150.0, help="seconds in all; what is left then is skipped")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny networks: whether everything works")
    options = parser.parse_args()
    wanted = lambda name: any(part in name for part in options.figures)
    unknown = [mode for mode in options.modes if mode not in MODES]
    if unknown or not any(map(wanted, [*FIGURES, "machine"])):
        parser.error(f"nothing to measure: no such mode or figure {unknown or options.figures}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no GPU; --device cpu --small tests this program")

    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    device = torch.cuda.get_device_name(0) if options.device == "cuda" else "cpu"
    about = {"torch": torch.__version__, "device": device} | ({"small": True} if options.small else {})
    signal.signal(signal.SIGALRM, timeout)
    if wanted("machine"):
        attempt(options, {"figure": "machine", "mode": None} | about, lambda: machine(options))
    for mode in options.modes:
        for name in filter(wanted, FIGURES):
            clean(options.device)
            facts = {"figure": f"{name}-{options.recipe}", "mode": mode} | about
            attempt(options, facts, lambda: measure(name, options, mode))


if __name__ == "__main__":
    main()
