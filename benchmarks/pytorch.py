"""Times VGG16's convolutions and the CAM layer: Keras in four ways against the same layers in PyTorch.

Examples:
  python -m venv torch_env && torch_env/bin/pip install torch==2.13.0 numpy
  python benchmarks/pytorch.py --python torch_env/bin/python
  python benchmarks/pytorch.py --python torch_env/bin/python --size 128x96 --rounds 3      a quick look

PyTorch is for this benchmark only, so it runs in an environment and a process of its own. Same weights, same picture,
same size, precision and number of threads; all ways in turn, A B C A B C, and the medians count. Every way has to give
the same feature maps. The picture goes in, and the two maps come out, as float32 arrays, in either framework.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
PRECISIONS = ("float32", "bfloat16")
NEAR = {"float32": 1e-3, "bfloat16": 0.05}  # of the largest value: how far two ways may differ


# PyTorch's side: this file, run by the other interpreter


def serve(exchange: Path, threads: int) -> None:
    """Answer each line on standard input, a precision, with the seconds of one pass; keep its outputs in a file."""
    import torch
    import torch.nn.functional as functional

    torch.set_num_threads(threads)
    stored = np.load(exchange / "network.npz", allow_pickle=False)
    picture = stored["picture"]

    def layers(dtype) -> dict:
        return {
            name.removesuffix("/kernel"): (
                torch.from_numpy(stored[name]).permute(3, 2, 0, 1).to(dtype, memory_format=torch.channels_last),
                torch.from_numpy(stored[name.replace("/kernel", "/bias")]).to(dtype),
            )
            for name in stored.files
            if name.endswith("/kernel")
        }

    def forward(weights: dict, dtype) -> tuple[np.ndarray, np.ndarray]:
        x = torch.from_numpy(picture).permute(0, 3, 1, 2).to(dtype)  # channels last already, as the array is
        features = None
        for block, widths in enumerate(BLOCKS, start=1):
            if block > 1:
                x = functional.max_pool2d(x, 2)
            for number in range(1, len(widths) + 1):
                x = functional.conv2d(x, *weights[f"block{block}_conv{number}"], padding=1).relu_()
                if (block, number) == (5, 1):
                    features = x
        x = functional.conv2d(x, *weights["cam_conv"], padding=1).relu_()
        return tuple(y.permute(0, 2, 3, 1).float().numpy() for y in (features, x))

    weights = {precision: layers(getattr(torch, precision)) for precision in PRECISIONS}
    print(json.dumps({"version": torch.__version__}), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            precision = line.strip()
            started = time.perf_counter()
            features, activations = forward(weights[precision], getattr(torch, precision))
            seconds = time.perf_counter() - started
            np.savez(exchange / f"{precision}.npz", features=features, activations=activations)
            print(json.dumps({"seconds": seconds}), flush=True)


class Torch:
    """The process on the other side."""

    def __init__(self, python: str, exchange: Path, threads: int):
        command = [python, __file__, "--serve", str(exchange), "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.exchange, self.version = exchange, self._answer()["version"]

    def seconds(self, precision: str) -> float:
        self.process.stdin.write(precision + "\n")
        self.process.stdin.flush()
        return self._answer()["seconds"]

    def outputs(self, precision: str) -> list[np.ndarray]:
        with np.load(self.exchange / f"{precision}.npz", allow_pickle=False) as stored:
            return [stored["features"], stored["activations"]]

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            from utils.errors import WrongUse

            raise WrongUse("PyTorch does not answer: name an interpreter that has torch and numpy with --python.")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


# Keras's side


def ways(model, precision: str) -> dict:
    """Four ways to run the project's network in TensorFlow: array -> two arrays."""
    import tensorflow

    from models.description.vgg16 import VGG16, compiled

    plain = VGG16(model, precision).model
    xla = tensorflow.function(lambda pixels: plain(pixels, training=False), jit_compile=True, autograph=False)
    return {
        "Keras, eager": lambda pixels: [y.numpy() for y in plain(pixels, training=False)],
        "Keras, predict_on_batch": plain.predict_on_batch,
        "constants folded (ours)": compiled(plain),
        "XLA": lambda pixels: [y.numpy() for y in xla(tensorflow.constant(pixels))],
    }


def main(argv=None) -> None:
    options = _options(argv)
    if options.serve:
        serve(options.serve, options.threads)
        return
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from benchmarks import measure
    from models.description import weights
    from models.description.backend import keras
    from models.description.recipe import Recipe

    tensorflow = _tensorflow(options.threads)
    long, short = Recipe("bundled", "cam", 64, 512, options.size).sides()
    picture = np.random.default_rng(0).normal(0, 60, (options.batch_size, short, long, 3)).astype(np.float32)
    model = weights.load("bundled")
    with tempfile.TemporaryDirectory() as folder:
        exchange = Path(folder)
        arrays = {}
        for layer in model.layers:
            if layer.weights and layer.name != "classifier":
                arrays |= dict(zip((f"{layer.name}/kernel", f"{layer.name}/bias"), layer.get_weights(), strict=True))
        np.savez(exchange / "network.npz", picture=picture, **arrays)
        torch = Torch(options.python, exchange, options.threads)
        print(
            f"{measure.machine()}; TensorFlow {tensorflow.__version__}, Keras {keras.__version__}, PyTorch "
            f"{torch.version}; {options.threads} threads, {options.size}, batches of {options.batch_size}"
        )
        rows = []
        for precision in PRECISIONS:
            runs = {"PyTorch": lambda precision=precision: torch.seconds(precision)}
            for name, way in ways(model, precision).items():
                runs[name] = lambda way=way: measure.timed(way, picture)[0]
                _compare(name, way(picture), torch, precision)
            medians = measure.alternating(runs, options.rounds)
            for name, seconds in medians.items():
                each = seconds / options.batch_size
                rows.append([f"{name}, {precision}", f"{each:.3f}", f"{seconds / medians['PyTorch']:.2f}"])
        torch.close()
    print(measure.table(["way", "seconds an image", "of PyTorch's time"], rows))


def _tensorflow(threads: int):
    """TensorFlow with so many threads; imported after models.description.backend, which keeps its notices quiet."""
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    return tensorflow


def _compare(name: str, outputs, torch: Torch, precision: str) -> None:
    torch.seconds(precision)
    for ours, theirs in zip(outputs, torch.outputs(precision), strict=True):
        apart = float(np.abs(ours - theirs).max() / np.abs(theirs).max())
        assert apart < NEAR[precision], f"{name}, {precision}: differs from PyTorch by {apart:.3g} of the maximum"


def _options(argv) -> argparse.Namespace:
    summary, _, examples = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--python", default=sys.executable, metavar="PATH", help="interpreter that has torch (this one)")
    add("--size", default="512x384", metavar="WxH", help="pixels of the picture (%(default)s)")
    add("--batch-size", type=int, default=1, metavar="N", help="pictures in one pass (%(default)s)")
    add(
        "--threads",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="of either framework (%(default)s)",
    )
    add("--rounds", type=int, default=7, metavar="N", help="medians are over these (%(default)s)")
    add("--serve", type=Path, help=argparse.SUPPRESS)  # what the other process is started with
    if "--serve" not in sys.argv:
        from utils.script import add_version

        add_version(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    options = sys.argv[1:]
    if "--serve" in options:  # in the other environment, which has none of the project's packages
        main()
    else:
        sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
        from utils.script import run

        run(main)
