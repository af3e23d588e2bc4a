"""Paints with the TensorFlow release's own software, and keeps its checkpoint and its pictures.

Run with Python 2.7, tensorflow 0.12.1, prettytensor 0.7.2 and numpy, as the release was:

    python2.7 tensorflow_release.py FOLDER

The graph of both generators is built with prettytensor's chains, as `stageI/model.py`,
`stageII/model.py` and `misc/custom_ops.py` describe it, so that every variable gets the name that
it has in the published checkpoints. All values are random numbers of this script, moving averages
too; the networks are narrow. Written: `tensorflow_release.ckpt`, a checkpoint of both in the older
format; `tensorflow_stage1.ckpt.*`, one of Stage-I in the newer; `tensorflow_release.safetensors`,
the text, the noise and what the graph paints from them (at 256x256 every eighth pixel).
"""

import json
import struct
import sys

import numpy as np
import prettytensor as pt
import tensorflow as tf
from prettytensor.pretty_tensor_class import Phase
from tensorflow.python.training.moving_averages import assign_moving_average

GF, EF, Z, TEXT, SIDE, BATCH, BLOCKS = 4, 3, 5, 6, 64, 2, 4


class conv_batch_norm(pt.VarStoreMethod):
    """Batch norm: in training by the batch, which the moving averages follow."""

    def __call__(self, input_layer, name="batch_norm", phase=Phase.test):
        width = [input_layer.shape[-1]]
        ones, zeros = tf.constant_initializer(1.0), tf.constant_initializer(0.0)
        with tf.variable_scope(name):
            mean = self.variable("mean", width, init=zeros, train=False)
            variance = self.variable("variance", width, init=ones, train=False)
            gamma = self.variable("gamma", width, init=ones)
            beta = self.variable("beta", width, init=zeros)
            if phase == Phase.train:
                # In f32 TensorFlow's sums over a batch of 256x256 are off by 1e-4.
                wide = tf.cast(input_layer.tensor, tf.float64)
                found = [tf.cast(x, tf.float32) for x in tf.nn.moments(wide, [0, 1, 2])]
                follow = [assign_moving_average(v, x, 0.9, zero_debias=False)
                          for v, x in zip((mean, variance), found)]
            else:
                found, follow = (mean, variance), []
            with tf.control_dependencies(follow):
                normal = tf.nn.batch_norm_with_global_normalization(
                    input_layer.tensor, found[0], found[1], beta, gamma, 1e-5, True)
        return input_layer.with_tensor(normal, parameters=self.vars)


pt.Register(assign_defaults=("phase"))(conv_batch_norm)


@pt.Register(assign_defaults=("phase"))
class fc_batch_norm(conv_batch_norm):
    """The same for rows."""

    def __call__(self, input_layer, *args, **kwargs):
        rows, width = input_layer.shape
        maps = input_layer.with_tensor(tf.reshape(input_layer.tensor, [-1, 1, 1, width]))
        return conv_batch_norm.__call__(self, maps, *args, **kwargs).reshape([rows, width])


@pt.Register
class custom_conv2d(pt.VarStoreMethod):
    """A convolution without bias."""

    def __call__(self, input_layer, output_dim, k_h=5, k_w=5, d_h=2, d_w=2, name="conv2d"):
        with tf.variable_scope(name):
            w = self.variable("w", [k_h, k_w, input_layer.shape[-1], output_dim],
                              init=tf.truncated_normal_initializer(stddev=0.02))
            out = tf.nn.conv2d(input_layer.tensor, w, [1, d_h, d_w, 1], "SAME")
        return input_layer.with_tensor(out, parameters=self.vars)


@pt.Register
class custom_fully_connected(pt.VarStoreMethod):
    """A product with a bias."""

    def __call__(self, input_layer, output_size, scope=None):
        with tf.variable_scope(scope or "Linear"):
            matrix = self.variable("Matrix", [input_layer.shape[1], output_size], dt=tf.float32,
                                   init=tf.random_normal_initializer(stddev=0.02))
            bias = self.variable("bias", [output_size], init=tf.constant_initializer(0.0))
        return input_layer.with_tensor(tf.matmul(input_layer.tensor, matrix) + bias,
                                       parameters=self.vars)


def leaky(x):
    return tf.maximum(x, 0.2 * x)


def three(chain, width):
    return chain.custom_conv2d(width, k_h=3, k_w=3, d_h=1, d_w=1)


def one(chain, width):
    return chain.custom_conv2d(width, k_h=1, k_w=1, d_h=1, d_w=1)


def relu(chain):
    return chain.apply(tf.nn.relu)


def up(chain, side, width):
    return three(chain.apply(tf.image.resize_nearest_neighbor, [side, side]), width)


def condition(text, epsilon):
    """The draw, the mean and the logarithm of sigma."""
    both = pt.wrap(text).flatten().custom_fully_connected(2 * EF).apply(leaky)
    mu, log_sigma = both[:, :EF], both[:, EF:]
    return mu + tf.exp(log_sigma) * epsilon, mu, log_sigma


def bottleneck(x, narrow, wide, activate=relu):
    inner = activate(one(x, narrow).conv_batch_norm())
    inner = activate(three(inner, narrow).conv_batch_norm())
    return activate(x.apply(tf.add, three(inner, wide).conv_batch_norm()))


def stage1(code):
    first = SIDE // 16
    x = pt.wrap(code).flatten().custom_fully_connected(first * first * GF * 8).fc_batch_norm()
    x = bottleneck(x.reshape([-1, first, first, GF * 8]), 2 * GF, 8 * GF)
    x = bottleneck(up(x, 2 * first, 4 * GF).conv_batch_norm(), GF, 4 * GF)
    x = relu(up(x, 4 * first, 2 * GF).conv_batch_norm())
    x = relu(up(x, 8 * first, GF).conv_batch_norm())
    return up(x, SIDE, 3).apply(tf.nn.tanh)


def stage2(low, code):
    x = relu(three(pt.wrap(low), GF))
    x = relu(x.custom_conv2d(2 * GF, k_h=4, k_w=4).conv_batch_norm())
    x = relu(x.custom_conv2d(4 * GF, k_h=4, k_w=4).conv_batch_norm())
    tiled = tf.tile(tf.expand_dims(tf.expand_dims(code, 1), 1), [1, SIDE // 4, SIDE // 4, 1])
    x = relu(three(pt.wrap(tf.concat(3, [x, tiled])), 4 * GF).conv_batch_norm())
    for _ in range(BLOCKS):
        inner = relu(three(pt.wrap(x), 4 * GF).conv_batch_norm())
        x = relu(pt.wrap(x).apply(tf.add, three(inner, 4 * GF).conv_batch_norm()))
    for side, width in [(SIDE // 2, 2 * GF), (SIDE, GF), (2 * SIDE, GF // 2), (4 * SIDE, GF // 4)]:
        x = relu(up(x, side, width).conv_batch_norm())
    return three(x, 3).apply(tf.nn.tanh)


def values(rng, name, shape):
    """Random values of which every layer passes on something: no layer may be left out unseen."""
    kind = name.split("/")[-1].split(":")[0]
    if kind == "variance":
        return rng.uniform(0.5, 2.0, shape)
    if kind == "gamma":
        return rng.normal(1.0, 0.2, shape)
    if kind in ("mean", "beta", "bias"):
        return rng.normal(0.0, 0.2, shape)
    return rng.normal(0.0, np.sqrt(2.0 / np.prod(shape[:-1])), shape)


def main(folder):
    rng = np.random.RandomState(20)
    given = {
        "text": rng.normal(0, 1, (BATCH, TEXT)), "eps1": rng.uniform(-2, 2, (BATCH, EF)),
        "z": rng.normal(0, 1, (BATCH, Z)), "eps2": rng.uniform(-2, 2, (BATCH, EF)),
    }
    fed = dict((k, tf.placeholder(tf.float32, v.shape, name=k)) for k, v in given.items())
    with pt.defaults_scope(phase=Phase.test):
        with tf.variable_scope("g_net"):
            code = condition(fed["text"], fed["eps1"])[0]
            low = stage1(tf.concat(1, [code, fed["z"]]))
        first = tf.all_variables()
        with tf.variable_scope("hr_g_net"):
            high = stage2(low, condition(fed["text"], fed["eps2"])[0])
    # What a checkpoint of training also holds; the importer has to pass it by.
    tf.Variable(np.float32(0.5), name="beta1_power")
    tf.Variable(rng.normal(0, 1, (2, 3)).astype("float32"), name="d_net/custom_conv2d/conv2d/w")
    tf.Variable(np.int64(7), name="step")
    with tf.Session() as session:
        for variable in tf.all_variables():
            shape = variable.get_shape().as_list()
            if not variable.name.startswith(("g_net", "hr_g_net")):
                session.run(variable.initializer)
            else:
                session.run(tf.assign(variable, values(rng, variable.name, shape)))
        feed = dict((fed[k], v) for k, v in given.items())
        painted = dict(zip(["low", "high"], session.run([low, high], feed)))
        versions = tf.train.SaverDef
        tf.train.Saver(write_version=versions.V1).save(
            session, folder + "/tensorflow_release.ckpt", write_meta_graph=False)
        tf.train.Saver(first, write_version=versions.V2).save(
            session, folder + "/tensorflow_stage1.ckpt", write_meta_graph=False)
    write(folder + "/tensorflow_release.safetensors", dict(given, **painted))


def write(path, arrays):
    """Writes f32 arrays as safetensors; pictures from (n, y, x, c) to (n, c, y, x)."""
    header, body = {}, b""
    for name in sorted(arrays):
        array = np.asarray(arrays[name], dtype="<f4")
        if array.ndim == 4:
            every = array.shape[1] // 32 if array.shape[1] > SIDE else 1
            array = array[:, ::every, ::every].transpose(0, 3, 1, 2)
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [len(body), len(body) + 4 * array.size]}
        body += np.ascontiguousarray(array).tobytes()
    head = json.dumps(header, sort_keys=True).encode()
    head += b" " * (-len(head) % 8)
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(head)) + head + body)


if __name__ == "__main__":
    main(sys.argv[1])
