"""TensorBoard's own words, on both sides. Run by hand, not by a test; needs `pip install tensorboard pillow`.

    python in_tensorboard.py write golden.tfevents   # makes the fixture with TensorBoard's protocol buffers and writer
    python in_tensorboard.py read RUN_FOLDER/tb           # reads a run as TensorBoard does, and prints what it found
    python in_tensorboard.py follow RUN_FOLDER/tb         # reads along until nothing comes for 10 s; prints the same
"""

import io
import sys
import time


def write(path):
    from PIL import Image
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2
    from tensorboard.summary.writer.record_writer import RecordWriter

    png = io.BytesIO()
    Image.new("RGB", (3, 2), (200, 30, 30)).save(png, "PNG")
    Event, Summary = event_pb2.Event, summary_pb2.Summary
    Value, Shape = Summary.Value, tensor_shape_pb2.TensorShapeProto
    numbers = [Value(tag="loss/d_loss", simple_value=1.25), Value(tag="probability/p_real", simple_value=0.5)]
    image = Summary.Image(height=2, width=3, colorspace=3, encoded_image_string=png.getvalue())
    text = tensor_pb2.TensorProto(dtype=7, string_val=[b"```toml\nseed = 0\n```\n"],
                                  tensor_shape=Shape(dim=[Shape.Dim(size=1)]))
    is_text = summary_pb2.SummaryMetadata(plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="text"))
    events = [
        Event(wall_time=1700000000.25, file_version="brain.Event:2"),
        Event(wall_time=1700000001.0, step=301, session_log=event_pb2.SessionLog(status=1)),
        Event(wall_time=1700000002.0, step=300, summary=Summary(value=numbers)),
        Event(wall_time=1700000003.0, step=300, summary=Summary(value=[Value(tag="samples", image=image)])),
        Event(wall_time=1700000004.0, summary=Summary(value=[Value(tag="config", tensor=text, metadata=is_text)])),
    ]
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString(deterministic=True))


def follow(folder):
    read(folder, patience=10)


def read(folder, patience=0):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(folder, size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    state, since = None, time.time()
    while state is None or time.time() - since < patience:
        board.Reload()
        found = [(p.step, p.value) for tag in board.Tags()["scalars"] for p in board.Scalars(tag)]
        if found != state:
            state, since = found, time.time()
        time.sleep(0.05)
    tags = board.Tags()
    for tag in sorted(tags["scalars"]):
        points = board.Scalars(tag)
        steps = [p.step for p in points]
        assert steps == sorted(set(steps)), f"{tag}: steps are not growing: {steps}"
        print(f"scalar {tag}: {len(points)} points, steps {steps[0]} to {steps[-1]}, last {points[-1].value:g}")
    for tag in sorted(tags["images"]):
        for image in board.Images(tag):
            print(f"image {tag}: step {image.step}, {image.width}x{image.height}, {len(image.encoded_image_string)} bytes")
    for tag in sorted(tags["tensors"]):
        for event in board.Tensors(tag):
            print(f"text {tag}: step {event.step}, {event.tensor_proto.string_val[0][:40]!r}")


{"write": write, "read": read, "follow": follow}[sys.argv[1]](sys.argv[2])
