"""Compares the golden training steps of the residual recipe with TensorFlow itself.

Run with Python 2.7, tensorflow 0.12.1, prettytensor 0.7.2 and numpy, in this folder:

    python2.7 tensorflow_steps.py

For both stages, the steps of `residual_stage1_steps.safetensors` and
`residual_stage2_steps.safetensors` are taken by the release's graph (`stageI/model.py`,
`stageII/model.py`, `stageI/trainer.py`, `stageII/trainer.py`), from the same weights, pictures, text
and noise. Compared are pictures and loss terms of both steps, the gradients of the first, and the
generators' weights and moving averages after both. Printed: the largest difference of each kind,
relative to the largest value, for gradients in norm. Adam is computed here, as in the golden files:
with its epsilon behind the correction of the moments. The moving averages are without the
correction of their first steps that TensorFlow 0.12 adds (`zero_debias`), and the discriminators'
are not compared: TensorFlow does not fix the order of its passes.
"""

from __future__ import print_function

import json
import struct

import numpy as np
import prettytensor as pt
import tensorflow as tf
from prettytensor.pretty_tensor_class import Phase

import tensorflow_release as release
from tensorflow_release import bottleneck, leaky, one

# Names of the tensors of a norm in the golden files, in the order in which the release makes its
# variables; of a product.
NORM = ["running_mean", "running_var", "weight", "bias"]
PRODUCT = ["weight", "bias"]


class Golden(object):
    """A golden file: arrays by name."""

    def __init__(self, path):
        with open(path, "rb") as opened:
            data = opened.read()
        length, = struct.unpack("<Q", data[:8])
        self.header = json.loads(data[8:8 + length].decode())
        self.body = data[8 + length:]
        self.config = json.loads(self.header["__metadata__"]["config"])

    def __getitem__(self, name):
        about = self.header[name]
        begin, end = about["data_offsets"]
        return np.frombuffer(self.body[begin:end], "<f4").reshape(about["shape"])


def waves(batch, size, phase):
    b, c, y, x = np.mgrid[0:batch, 0:3, 0:size, 0:size].astype(np.float64)
    return np.sin(0.05 * x + 0.07 * y + 1.3 * c + 0.9 * b + phase).transpose(0, 2, 3, 1)


def halve(x, width):
    return x.custom_conv2d(width, k_h=4, k_w=4)


def slope(x):
    return x.apply(leaky)


def discriminator(picture, text, df, high):
    x = slope(halve(pt.wrap(picture), df))
    if high:
        for width in (2, 4, 8, 16, 32):
            x = slope(halve(x, width * df).conv_batch_norm())
        x = slope(one(x, 16 * df).conv_batch_norm())
        x = one(x, 8 * df).conv_batch_norm()
    else:
        x = slope(halve(x, 2 * df).conv_batch_norm())
        x = halve(x, 4 * df).conv_batch_norm()
        x = halve(x, 8 * df).conv_batch_norm()
    x = bottleneck(x, 2 * df, 8 * df, slope)
    code = slope(pt.wrap(text).custom_fully_connected(release.EF))
    tiled = tf.tile(tf.expand_dims(tf.expand_dims(code, 1), 1), [1, 4, 4, 1])
    x = slope(one(pt.wrap(tf.concat(3, [x, tiled])), 8 * df).conv_batch_norm())
    return x.custom_conv2d(1, k_h=4, k_w=4, d_h=4, d_w=4)


def normed(*names):
    """Names of convolutions with a norm behind them."""
    for name in names:
        prefix, at = name.rsplit(".", 1)
        yield name + ".weight"
        for part in NORM:
            yield "%s.%d.%s" % (prefix, int(at) + 1, part)


def block(name, *at):
    return list(normed(*["%s.block.%d" % (name, i) for i in at]))


def product(name):
    return [name + "." + part for part in PRODUCT]


def names_of_stage1():
    names = product("ca_net.fc") + product("fc.0") + ["fc.1." + part for part in NORM]
    names += block("residual1", 0, 3, 6) + list(normed("upsample1.1"))
    names += block("residual2", 0, 3, 6) + list(normed("upsample2.1", "upsample3.1"))
    return names + ["img.1.weight"]


def names_of_stage2(blocks):
    names = product("ca_net.fc") + ["encoder.0.weight"]
    names += list(normed("encoder.2", "encoder.5", "hr_joint.0"))
    for i in range(blocks):
        names += block("residual.%d" % i, 0, 3)
    names += list(normed(*["upsample%d.1" % i for i in range(1, 5)]))
    return names + ["img.0.weight"]


def names_of_discriminator(high):
    at = [2, 5, 8, 11, 14, 17, 20] if high else [2, 5, 7]
    names = ["encode_img.0.weight"] + list(normed(*["encode_img.%d" % i for i in at]))
    names += block("residual", 0, 3, 6) + product("head.text_net.0")
    return names + list(normed("head.outlogits.0")) + ["head.outlogits.3.weight"]


def channels_last(name, values):
    """A golden tensor in the order of TensorFlow's axes."""
    if values.ndim == 4:
        return values.transpose(2, 3, 1, 0)
    if name.endswith(("fc.0.weight", "fc.0.bias")) or ".fc.1." in name:
        # Stage-I's first maps: golden rows are (channel, y, x), the release's (y, x, channel).
        maps = values.reshape((-1, 4, 4) + values.shape[1:])
        values = np.moveaxis(maps, 0, 2).reshape(values.shape)
    return values.T


class Net(object):
    """The variables of a scope, with the names of the golden file."""

    def __init__(self, scope, prefix, names):
        found = [v for v in tf.all_variables() if v.name.startswith(scope + "/")]
        assert len(found) == len(names), (scope, len(found), len(names))
        self.all = [(prefix + name, v) for name, v in zip(names, found)]
        trainable = set(tf.trainable_variables())
        self.trained = [(name, v) for name, v in self.all if v in trainable]
        self.moving = [(name, v) for name, v in self.all if v not in trainable]

    def assign(self, session, golden, when):
        for name, variable in self.all:
            value = channels_last("." + name, golden[when + name])
            assert value.shape == tuple(variable.get_shape().as_list()), name
            session.run(tf.assign(variable, value))


class Adam(object):
    """Adam over the variables of a network, as in the golden files."""

    def __init__(self, net):
        self.trained = net.trained
        self.moments = [(0.0, 0.0) for _ in self.trained]
        self.steps = 0

    def step(self, session, gradients):
        self.steps += 1
        for i, ((_, variable), gradient) in enumerate(zip(self.trained, gradients)):
            gradient = gradient.astype(np.float64)
            m, v = self.moments[i]
            m, v = 0.5 * m + 0.5 * gradient, 0.999 * v + 0.001 * gradient ** 2
            self.moments[i] = m, v
            m, v = m / (1 - 0.5 ** self.steps), v / (1 - 0.999 ** self.steps)
            session.run(tf.assign_sub(variable, (2e-4 * m / (np.sqrt(v) + 1e-8)).astype("f4")))


class Differences(object):
    """The largest relative difference of each kind."""

    def __init__(self):
        self.largest = {}

    def see(self, kind, found, expected, measure=lambda x: np.abs(x).max()):
        difference = measure(found - expected) / max(measure(expected), 1e-12)
        self.largest[kind] = max(self.largest.get(kind, 0.0), float(difference))


def compare(high):
    tf.reset_default_graph()
    golden = Golden("residual_stage%d_steps.safetensors" % (2 if high else 1))
    config = golden.config
    release.GF, release.EF, release.BLOCKS = config["gf"], config["cond"], config["res"]
    text = golden["in.text"]
    size = 256 if high else 64
    shown = dict((k, tf.placeholder(tf.float32, [len(text), n]))
                 for k, n in [("text", config["text"]), ("z", config["z"]),
                              ("eps1", config["cond"]), ("eps2", config["cond"])])
    real, wrong = [tf.constant(waves(len(text), size, phase), tf.float32) for phase in (0, 2.1)]
    with pt.defaults_scope(phase=Phase.train):
        with tf.variable_scope("g_net"):
            code, mu, log_sigma = release.condition(shown["text"], shown["eps1"])
            fake = release.stage1(tf.concat(1, [code, shown["z"]]))
        if high:
            with tf.variable_scope("hr_g_net"):
                code, mu, log_sigma = release.condition(shown["text"], shown["eps2"])
                fake = release.stage2(fake, code)
        logits = []
        for i, picture in enumerate((real, wrong, fake)):
            with tf.variable_scope("d_net", reuse=i > 0):
                logits.append(discriminator(picture, shown["text"], config["df"], high))

    def cross_entropy(logit, label):
        labels = tf.fill(logit.get_shape(), label)
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(logit, labels))

    losses = {"d_real": cross_entropy(logits[0], 1.0), "d_wrong": cross_entropy(logits[1], 0.0),
              "d_fake": cross_entropy(logits[2], 0.0)}
    losses["d_loss"] = losses["d_real"] + (losses["d_wrong"] + losses["d_fake"]) / 2.0
    adversarial = cross_entropy(logits[2], 1.0)
    kl = tf.reduce_mean(-log_sigma + 0.5 * (-1 + tf.exp(2.0 * log_sigma) + tf.square(mu)))
    if high:
        low = Net("g_net", "g.STAGE1_G.", names_of_stage1())
        g = Net("hr_g_net", "g.", names_of_stage2(config["res"]))
    else:
        low, g = None, Net("g_net", "g.", names_of_stage1())
    d = Net("d_net", "d.", names_of_discriminator(high))
    of_d = tf.gradients(losses["d_loss"], [v for _, v in d.trained])
    of_g = tf.gradients(adversarial + 2.0 * kl, [v for _, v in g.trained])

    seen = Differences()
    every = size // 32 if high else 1
    picture = lambda x: x[:, ::every, ::every].transpose(0, 3, 1, 2)
    with tf.Session() as session:
        for net in filter(None, [low, g, d]):
            net.assign(session, golden, "init.")
        terms_of_g = {"g_adv": adversarial, "kl": kl, "mu": mu, "log_sigma": log_sigma}
        players = [("d", Adam(d), of_d, losses), ("g", Adam(g), of_g, terms_of_g)]
        for step, (player, adam, gradients, wanted) in [(s, p) for s in (0, 1) for p in players]:
            at = "step%d." % step
            feed = dict((shown[k], golden["%s%s.%s" % (at, player, k)])
                        for k in ("z", "eps1", "eps2") if k != "eps2" or high)
            feed[shown["text"]] = text
            found, painted, terms = session.run([gradients, fake, wanted], feed)
            seen.see("step %d, pictures" % step, picture(painted),
                     golden["%s%s.fake" % (at, player)])
            for name, value in terms.items():
                seen.see("step %d, %s" % (step, name), value, golden[at + name])
            for (name, _), gradient in zip(adam.trained, found):
                expected = channels_last("." + name, golden["grad." + name])
                if step == 0 and not name.endswith("fc.0.bias"):  # before a norm: only rounding
                    seen.see("gradients of " + player, gradient, expected, np.linalg.norm)
            adam.step(session, found)
        for name, variable in g.all:
            kind = "moving averages" if "running" in name else "weights"
            expected = channels_last("." + name, golden["after2." + name])
            seen.see(kind + " after both steps", session.run(variable), expected)
    print("stage", 2 if high else 1)
    for kind, difference in sorted(seen.largest.items()):
        print("  %-34s %.1e" % (kind, difference))


if __name__ == "__main__":
    compare(False)
    compare(True)
