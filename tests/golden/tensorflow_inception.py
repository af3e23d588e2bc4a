"""What the authors' Inception network gives in TensorFlow itself, for weights and pictures by a formula.

Run with Python 2.7, tensorflow 0.12.1 and numpy:

    python2.7 tensorflow_inception.py FOLDER

The graph is that of `inception_score.py` (StackGAN-inception-model), whose network is
`inception/slim/inception_model.py` of tensorflow/models, 2016, without its side head. So the
variables have the names of the authors' checkpoints, `birds_valid299/model.ckpt-5000` and that of
flowers, and hold moving averages as theirs do. Written: `tensorflow_inception.safetensors`, with
the names and shapes of the variables in its metadata; the checkpoint, of 175 MB, in
FOLDER/model.ckpt-5000.
"""

import json
import math
import struct
import sys

import numpy as np
import tensorflow as tf

CLASSES = 51
AVERAGE = "/ExponentialMovingAverage"


def noise(key, count):
    """Values in [-0.5, 0.5), as in features.py."""
    x = np.arange(count, dtype=np.uint32) * np.uint32(2654435761)
    x += np.uint32((key * 40503 + 12345) & 0xFFFFFFFF)
    x ^= x >> np.uint32(15)
    x *= np.uint32(2246822519)
    x ^= x >> np.uint32(13)
    return x.astype(np.float64) / 2.0**32 - 0.5


def value(key, name, shape):
    """A weight, a bias or a moment of a norm that keeps the network's values alive."""
    u = noise(key, int(np.prod(shape))).reshape(shape)
    if "moving_variance" in name:
        return 1.0 + 0.5 * u
    if len(shape) == 1:
        return 0.2 * u
    return u * 2.0 * math.sqrt(6.0 / np.prod(shape[:-1]))


def pictures(n, c, h, w):
    """Pictures in [-1, 1], as in features.py, with their channels last."""
    y, x = np.mgrid[0:h, 0:w]
    waves = [np.sin(0.05 * (i + 1) * x + 0.07 * (j + 1) * y + i - j)
             for i in range(n) for j in range(c)]
    values = 0.7 * np.stack(waves).reshape((n, c, h, w))
    values += 0.6 * noise(1000, n * c * h * w).reshape((n, c, h, w))
    return values.clip(-1, 1).astype(np.float32).transpose(0, 2, 3, 1)


def conv(x, to, kernel, stride=1, padding="SAME", scope=None):
    with tf.variable_scope(scope, "Conv", [x]):
        shape = list(kernel) + [int(x.get_shape()[-1]), to]
        weights = tf.get_variable("weights", shape)
        x = tf.nn.conv2d(x, weights, [1, stride, stride, 1], padding)
        with tf.variable_scope(None, "BatchNorm", [x]):
            beta = tf.get_variable("beta", [to])
            moving = [tf.GraphKeys.MOVING_AVERAGE_VARIABLES, tf.GraphKeys.VARIABLES]
            mean = tf.get_variable("moving_mean", [to], trainable=False, collections=moving)
            variance = tf.get_variable("moving_variance", [to], trainable=False,
                                       collections=moving)
            x = tf.nn.batch_normalization(x, mean, variance, beta, None, 0.001)
    return tf.nn.relu(x)


def chain(scope, x, steps):
    """Convolutions one after the other: width, kernel, and perhaps a stride of 2."""
    with tf.variable_scope(scope):
        for to, kernel, stride in steps:
            x = conv(x, to, kernel, stride, "SAME" if stride == 1 else "VALID")
    return x


def pooled(x, to):
    with tf.variable_scope("branch_pool"):
        return conv(tf.nn.avg_pool(x, [1, 3, 3, 1], [1, 1, 1, 1], "SAME"), to, (1, 1))


def halved(x):
    return tf.nn.max_pool(x, [1, 3, 3, 1], [1, 2, 2, 1], "VALID")


def at(to, height=1, width=1, stride=1):
    return to, (height, width), stride


def forked(scope, x, steps):
    with tf.variable_scope(scope):
        for to, kernel, _ in steps:
            x = conv(x, to, kernel)
        return tf.concat(3, [conv(x, 384, (1, 3)), conv(x, 384, (3, 1))])


def network(x):
    x = conv(x, 32, (3, 3), 2, "VALID", "conv0")
    x = conv(x, 32, (3, 3), 1, "VALID", "conv1")
    x = halved(conv(x, 64, (3, 3), 1, "SAME", "conv2"))
    x = conv(x, 80, (1, 1), 1, "VALID", "conv3")
    x = halved(conv(x, 192, (3, 3), 1, "VALID", "conv4"))
    for name, to in [("256a", 32), ("288a", 64), ("288b", 64)]:
        with tf.variable_scope("mixed_35x35x" + name):
            x = tf.concat(3, [
                chain("branch1x1", x, [at(64)]),
                chain("branch5x5", x, [at(48), at(64, 5, 5)]),
                chain("branch3x3dbl", x, [at(64), at(96, 3, 3), at(96, 3, 3)]),
                pooled(x, to)])
    with tf.variable_scope("mixed_17x17x768a"):
        x = tf.concat(3, [
            chain("branch3x3", x, [at(384, 3, 3, 2)]),
            chain("branch3x3dbl", x, [at(64), at(96, 3, 3), at(96, 3, 3, 2)]),
            halved(x)])
    for name, n in [("b", 128), ("c", 160), ("d", 160), ("e", 192)]:
        with tf.variable_scope("mixed_17x17x768" + name):
            x = tf.concat(3, [
                chain("branch1x1", x, [at(192)]),
                chain("branch7x7", x, [at(n), at(n, 1, 7), at(192, 7, 1)]),
                chain("branch7x7dbl", x,
                      [at(n), at(n, 7, 1), at(n, 1, 7), at(n, 7, 1), at(192, 1, 7)]),
                pooled(x, 192)])
    with tf.variable_scope("mixed_17x17x1280a"):
        x = tf.concat(3, [
            chain("branch3x3", x, [at(192), at(320, 3, 3, 2)]),
            chain("branch7x7x3", x, [at(192), at(192, 1, 7), at(192, 7, 1), at(192, 3, 3, 2)]),
            halved(x)])
    for name in "ab":
        with tf.variable_scope("mixed_8x8x2048" + name):
            x = tf.concat(3, [
                chain("branch1x1", x, [at(320)]),
                forked("branch3x3", x, [at(384)]),
                forked("branch3x3dbl", x, [at(448), at(384, 3, 3)]),
                pooled(x, 192)])
    features = tf.reduce_mean(x, [1, 2])
    with tf.variable_scope("logits"), tf.variable_scope("logits"):
        weights = tf.get_variable("weights", [2048, CLASSES])
        return features, tf.nn.xw_plus_b(features, weights, tf.get_variable("biases", [CLASSES]))


def main(folder):
    shown = pictures(2, 3, 91, 107)
    x = tf.placeholder(tf.float32, shown.shape)
    features, logits = network(x)
    averages = tf.train.ExponentialMovingAverage(0.9999)
    averages.apply(tf.trainable_variables() + tf.moving_average_variables())
    tf.Variable(5000, name="global_step", trainable=False)
    every = sorted(tf.all_variables(), key=lambda variable: variable.op.name)
    with tf.Session() as session:
        session.run(tf.initialize_all_variables())
        shapes = {}
        for variable in (v for v in every if v.op.name.endswith(AVERAGE)):
            name, shape = variable.op.name, variable.get_shape().as_list()
            session.run(tf.assign(variable, value(len(shapes), name, shape)))
            shapes[name] = shape
        path = tf.train.Saver(write_version=tf.train.SaverDef.V1).save(
            session, folder + "/model.ckpt", 5000, write_meta_graph=False)
        tf.train.Saver(averages.variables_to_restore()).restore(session, path)
        features, logits = session.run([features, logits], {x: shown})
    arrays = {"features": features, "logits": logits[:, 1:]}  # without the background
    header, body = {"__metadata__": {"variables": json.dumps(shapes, sort_keys=True)}}, b""
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name], dtype="<f4")
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [len(body), len(body) + 4 * array.size]}
        body += array.tobytes()
    head = json.dumps(header, sort_keys=True).encode()
    head += b" " * (-len(head) % 8)
    with open(folder + "/tensorflow_inception.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(head)) + head + body)


if __name__ == "__main__":
    main(sys.argv[1])
