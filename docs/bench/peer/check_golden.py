"""Checks the peer against the golden values: pictures, losses, gradients, two steps, evaluation mode.

    python3 docs/bench/peer/check_golden.py [FOLDER]      (default: tests/golden)

Prints the largest error of each kind and fails if one is above its tolerance. Tolerances and their reasons are those of
tests/golden/README.md; weights are compared after each step, and where a gradient is no larger than its own rounding Adam moves
a weight by plus or minus lr, so weights are held to 5 % of lr on average and to 2 lr each. The gradient of Stage-II's generator
jumps where rounding decides the sign of one of half a million values, so there neighbours of the state are tried (betas moved by
5e-7) until one agrees, as our own test does (crates/stackgan-train/tests/it/golden.rs).
"""

import json
import struct
import sys
from pathlib import Path

import torch

from game import Batch, Net, Noise, Players
from layers import BatchNorm

LR = 2e-4
NEIGHBOURS = 40
TOLERANCE = {"picture": 1e-4, "loss": 1e-4, "gradient": 1e-3, "statistic": 1e-3, "mean weight / lr": 0.05, "weight / lr": 2.05}


def load(path):
    """Tensors and metadata of a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    meta, tensors = header.pop("__metadata__", {}), {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            raise SystemExit(f"{path}: tensor {name}: expected F32, found {entry['dtype']}")
        begin, end = entry["data_offsets"]
        raw = bytearray(data[8 + length + begin : 8 + length + end])
        tensors[name] = torch.frombuffer(raw, dtype=torch.float32).reshape(entry["shape"])
    return tensors, meta


def waves(batch, size, phase):
    """The golden runs' pictures, by their formula."""
    b, c, y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in (batch, 3, size, size)), indexing="ij")
    return torch.sin(0.05 * x + 0.07 * y + 1.3 * c + 0.9 * b + phase).float()


def part(tensors, prefix):
    return {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}


class Errors:
    """The largest error of each kind."""

    def __init__(self):
        self.worst = {}

    def add(self, kind, name, error):
        if error >= self.worst.get(kind, (-1.0, ""))[0]:
            self.worst[kind] = (error, name)

    def relative(self, kind, name, ours, golden, floor=0.0):
        step = ours.shape[-1] // golden.shape[-1] if ours.dim() == 4 else 1
        ours = ours.detach()[..., ::step, ::step] if step > 1 else ours.detach()  # 256 pixels: every eighth was kept
        error = (ours.reshape(golden.shape) - golden).norm().item()
        self.add(kind, name, max(0.0, error - floor) / max(golden.norm().item(), 1e-30))

    def all_fit(self, *kinds):
        """Whether all of these kinds, or all there are, are within tolerance."""
        return all(error <= TOLERANCE[kind] for kind, (error, _) in self.worst.items() if not kinds or kind in kinds)

    def report(self):
        """Prints, and says whether all is within tolerance."""
        for kind, (error, name) in self.worst.items():
            fits = error <= TOLERANCE[kind]
            print(f"  {kind:17} {error:9.2e}  (at most {TOLERANCE[kind]:.0e}{'' if fits else ', EXCEEDED'})  {name}")
        return self.all_fit()


def check(path):
    """Each of the two steps from the golden state before it, then evaluation mode on the golden weights."""
    golden, meta = load(path)
    recipe, stage = path.name.split("_")[0], 2 if "stage2" in path.name else 1
    net, kl = Net(**json.loads(meta["config"])), float(meta["kl_weight"])
    text, size = golden["in.text"], 64 if stage == 1 else 256
    batch = Batch(golden.get("in.real", waves(len(text), size, 0.0)), waves(len(text), size, 2.1), text)
    state = {who: part(golden, f"init.{who}.") for who in "gd"}
    gradients = {who: part(golden, f"grad.{who}.") for who in "gd"}

    print(path.name)
    good = True
    for index in (0, 1):
        for which in range(NEIGHBOURS):
            players, errors = Players(recipe, net, stage, LR), Errors()
            restore(players, state, gradients if index else None)
            move_betas(players.g, which)
            one_step(players, (batch, kl), golden, index, errors)
            if errors.all_fit() or stage == 1 or not errors.all_fit("picture", "loss", "statistic"):
                break
        print(f" step {index}" + (f", at neighbour {which}" if which else ""))
        good &= errors.report()
        state = {
            who: part(golden, f"after{index + 1}.{who}.") or stepped(state[who], gradients[who], network.state_dict())
            for who, network in (("g", players.g), ("d", players.d))
        }

    errors = Errors()
    players.g.load_state_dict(part(golden, "after2.g."))
    players.g.eval()
    with torch.no_grad():
        image = players.g(text, noise(golden, "eval" if recipe == "residual" else "stepeval"))[0]
    errors.relative("picture", "eval.fake", image, golden["eval.fake"])
    print(" evaluation mode")
    return errors.report() and good


def noise(golden, prefix):
    get = lambda n: golden.get(f"{prefix}.{n}")
    return get("z"), get("eps") if get("eps1") is None else get("eps1"), get("eps2")


def restore(players, state, gradients):
    """Weights and statistics, and Adam's moments after one step down `gradients`."""
    for who, network in (("g", players.g), ("d", players.d)):
        network.load_state_dict(state[who])
        for name, p in network.named_parameters() if gradients else ():
            if name in gradients[who]:
                g = gradients[who][name]
                players.adam[who].state[p] = {"step": torch.tensor(1.0), "exp_avg": 0.5 * g, "exp_avg_sq": 0.001 * g * g}


def move_betas(g, which):
    """Neighbour `which`: every beta of a trained batch norm moved by 5e-7 up or down; the first is the state itself."""
    if which == 0:
        return
    generator = torch.Generator().manual_seed(which)
    for module in g.modules():
        if isinstance(module, BatchNorm) and module.bias.requires_grad:
            signs = torch.randint(0, 2, module.bias.shape, generator=generator) * 2 - 1
            module.bias.data += 5e-7 * signs


def stepped(weights, gradients, after):
    """Weights after Adam's first step down golden gradients; statistics from `after`."""
    down = lambda n, w: w - LR * gradients[n] / (gradients[n].abs() + 1e-8) if n in gradients else w
    return {n: after[n] if "running_" in n else down(n, w) for n, w in weights.items()}


def one_step(players, inputs, golden, index, errors):
    prefix, residual = f"step{index}", "step0.d.z" in golden
    both = Noise(*(noise(golden, f"{prefix}{p}") for p in ((".d", ".g") if residual else ("", ""))))
    painted = []
    keep = lambda _module, _inputs, out: painted.append([t if t is None else t.detach().clone() for t in out])
    hook = players.g.register_forward_hook(keep)
    batch, kl = inputs
    losses = players.step(batch, both, kl)
    hook.remove()

    for name, (image, *_) in zip(["d.fake", "g.fake"] if residual else ["fake"], painted):
        errors.relative("picture", f"{prefix}.{name}", image, golden[f"{prefix}.{name}"])
    parts = zip(["mu", "log_sigma" if residual else "logvar", "low"], painted[-1][1:])
    for name, value in parts:
        if f"{prefix}.{name}" in golden:
            errors.relative("picture", f"{prefix}.{name}", value, golden[f"{prefix}.{name}"])
    for name, value in losses.items():
        errors.relative("loss", f"{prefix}.{name}", value.reshape(1), golden[f"{prefix}.{name}"])
    for who, network in (("g", players.g), ("d", players.d)):
        if index == 0:
            compare_gradients(who, network, players.adam[who], golden, errors)
        compare_weights(f"after{index + 1}.{who}.", network, golden, errors)


def compare_gradients(who, network, adam, golden, errors):
    """Of the first step, from Adam's first moment."""
    expected = part(golden, f"grad.{who}.")
    found = {n: adam.state[p]["exp_avg"] / 0.5 for n, p in network.named_parameters() if p in adam.state}
    same_names(f"grad.{who}.", found, expected)
    whole = sum(g.norm() ** 2 for g in expected.values()).sqrt().item()
    for name, gradient in expected.items():
        errors.relative("gradient", f"grad.{who}.{name}", found[name], gradient, floor=1e-6 * whole)


def compare_weights(prefix, network, golden, errors):
    expected, found = part(golden, prefix), network.state_dict()
    if not expected:
        return
    same_names(prefix, found, expected)
    moved, count = 0.0, 0
    for name, value in expected.items():
        if "running_" in name:
            errors.relative("statistic", prefix + name, found[name], value, floor=1e-5)
            continue
        off = (found[name] - value).abs() / LR
        errors.add("weight / lr", prefix + name, off.max().item())
        moved, count = moved + off.sum().item(), count + off.numel()
    errors.add("mean weight / lr", prefix, moved / count)


def same_names(prefix, found, expected):
    if found.keys() != expected.keys():
        raise SystemExit(f"{prefix}: {sorted(found.keys() ^ expected.keys())} are on one side alone")


if __name__ == "__main__":
    here = Path(__file__).resolve().parents[3] / "tests" / "golden"
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else here
    results = [check(path) for path in sorted(folder.glob("*_steps.safetensors"))]
    if len(results) != 4 or not all(results):
        raise SystemExit(f"{sum(results)} of 4 files agree")
    print("all four files agree")
