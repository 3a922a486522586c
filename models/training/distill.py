"""Train the bundled weights: a VGG16-CAM learns, without labels, to reproduce an ImageNet GoogLeNet's feature maps.

Examples:
  python -m models.training.distill --teacher googlenet.npz --pictures FOLDER --crops 100000
  python -m models.training.distill --teacher googlenet.npz --pictures FOLDER FOLDER --crops 100000 --start none
  KERAS_BACKEND=torch python -m models.training.distill --teacher googlenet.npz --pictures FOLDER \\
      --crops 5000000 --side 128 --last-side 224 --batch-size 128

Any Keras back end can be used, on the CPU or a GPU. Repeat the command to continue an interrupted run. The result is
OUTPUT/vgg16_cam.weights.h5 (use it with --weights); OUTPUT/distill.json records the settings and the results on
held-out pictures.

Pictures are reduced when they are read, so copies with a shorter side of 1.5 times --last-side are as good. With
ImageMagick: mogrify -path SMALL -resize '192x192^>' -quality 85 FOLDER/*.jpg
"""

import argparse
import json
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from sklearn.linear_model import Ridge

from models.description import weights
from models.description.backend import best_precision, keras
from models.description.vgg16_model import MEAN
from models.training.crops import Crops, centre, read
from models.training.student import GUIDED, fit_adapters, fold, student, unfold
from models.training.teacher import MEAN as TEACHER_MEAN
from models.training.teacher import Teacher, Tensor
from utils import files, script
from utils.errors import WrongUse
from utils.work import cores

ops = keras.ops

# The loss is a sum of squared errors of the maps at strides 2, 4, 8, 16, 16 and 32, each divided by its channel's root
# mean square (hints; Romero et al. 2015), of the last map's mean over space, and of the classes.
MAPS = ("stride2", "stride4", "stride8", "stride16", "stride16_deep", "stride32")
MAP_WEIGHTS = (0.3, 0.5, 1.0, 1.0, 1.5, 3.0)
POOLED_WEIGHT = 2.0
CLASSES_WEIGHT = 0.1  # of the Kullback-Leibler divergence (Hinton et al. 2015, temperature 1)

WARM_UP = 0.03  # of all steps, during which the learning rate grows from 0
FINAL_RATE = 0.005  # of the learning rate, at the end of the cosine schedule
LAST_PART = 0.8  # of all steps, after which crops are larger
MEASURED = 8  # batches used to measure the channels' scale and normalisation
FITTED = 3000  # crops on which the classifier is fitted
RIDGE = 0.2  # times the number of crops: added to the sums of squares of channels of variance 1
HELD_OUT = 40  # one in so many pictures is held out for the final evaluation
CHECKPOINT_SECONDS = 180
PRINT_SECONDS = 20


class Distiller(keras.Model):
    """Student and teacher as one model that Keras can fit to (disturbed, clean) pictures."""

    def __init__(self, pupil: keras.Model, teacher: Teacher, scales: Sequence[np.ndarray]):
        """scales: of each of the teacher's maps, (channels,) float32, by which it is divided."""
        super().__init__()
        self.pupil, self.maps = pupil, teacher.maps
        self.kernel, self.bias, self.scales = teacher.kernel, teacher.bias, scales
        self.means = {name: keras.metrics.Mean(name) for name in ("loss", *MAPS, "pooled", "classes")}
        self.built = True

    @property
    def metrics(self) -> list:
        return list(self.means.values())

    def call(self, pictures: Tensor, training: bool = False) -> Tensor:
        return self.pupil(ops.subtract(ops.cast(pictures, "float32"), MEAN), training=training)

    def compute_loss(
        self,
        x: Tensor = None,  # noqa: ARG002  (Keras hands these three over by name)
        y: Tensor = None,
        y_pred: Sequence[Tensor] = (),
        sample_weight: Tensor = None,  # noqa: ARG002
        training: bool = True,  # noqa: ARG002
    ) -> Tensor:
        """The loss of a batch, a float32 scalar. y: (batch, side, side, 3) uint8 BGR pictures for the teacher."""
        maps = self.maps(ops.subtract(ops.cast(y, "float32"), TEACHER_MEAN), training=False)
        learned = list(y_pred)
        scores = self.scores(learned[-1])
        learned[-1] = ops.divide(learned[-1], self.scales[-1])
        targets = [ops.divide(one, scale) for one, scale in zip(maps, self.scales, strict=True)]
        losses = {name: _squared_error(*pair) for name, *pair in zip(MAPS, learned, targets, strict=True)}
        losses["pooled"] = _squared_error(_pool(learned[-1]), _pool(targets[-1]))
        losses["classes"] = _divergence(self.scores(maps[-1]), scores)
        weighted = dict(zip(losses, (*MAP_WEIGHTS, POOLED_WEIGHT, CLASSES_WEIGHT), strict=True))
        loss = sum(losses[name] * weight for name, weight in weighted.items())
        for name, value in (losses | {"loss": loss}).items():
            self.means[name].update_state(value)
        return loss

    def scores(self, maps: Tensor) -> Tensor:
        """The scores of the teacher's classifier for the last maps, of the teacher or of the student."""
        return ops.add(ops.matmul(_pool(maps), self.kernel), self.bias)


def _squared_error(learned: Tensor, target: Tensor) -> Tensor:
    return ops.mean(ops.square(learned - target))


def _pool(maps: Tensor) -> Tensor:
    return ops.mean(maps, axis=(1, 2))


def _divergence(target: Tensor, learned: Tensor) -> Tensor:
    """The mean over a batch of sum_c p_c (log p_c - log q_c), p and q being the softmax of (batch, classes) scores."""
    target, learned = ops.log_softmax(target), ops.log_softmax(learned)
    return ops.mean(ops.sum(ops.exp(target) * (target - learned), axis=1))


def main(argv: Sequence[str] | None = None) -> None:
    """Train, measure, and write the weights. Raises WrongUse and Failed."""
    options = _options(argv)
    _check_output(options.output)
    cv2.setNumThreads(1)  # several threads prepare crops
    keras.utils.set_random_seed(options.seed)
    precision = best_precision() if options.precision == "auto" else options.precision
    teacher = Teacher(options.teacher, precision)
    start = None if options.start == "none" else _start(options.start, teacher)
    pictures, skipped = read(options.pictures, options.last_side * 3 // 2)
    for path, reason in skipped:
        print(f"Skipped {path}: {reason}")
    held_out, pictures = pictures[::HELD_OUT], [p for k, p in enumerate(pictures) if k % HELD_OUT] or pictures
    print(f"{len(pictures)} training pictures, {len(held_out)} held out, {len(skipped)} files skipped")
    distiller, checkpoint = _prepared(options, teacher, start, pictures, precision)
    _train(distiller, options, pictures, checkpoint)
    plain = fold(distiller.pupil, *_classifier(distiller.pupil, teacher, options, pictures))
    measured = _measured(distiller, plain, teacher, held_out, options.last_side)
    counts = {"pictures": len(pictures), "pictures_held_out": len(held_out), "files_skipped": len(skipped)}
    _write(plain, options, {"precision": precision} | counts, measured)


def _check_output(folder: Path) -> None:
    """Create the folder and write to it, because hours later would be too late to find that it is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "distill.partial").touch()
        (folder / "distill.partial").unlink()
    except OSError as problem:
        raise WrongUse(f"{folder} is not writable ({problem.strerror}): choose another --output.") from None


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = script.plain_parser(__doc__)
    add = parser.add_argument
    add("--teacher", type=Path, required=True, metavar="FILE", help="the .npz of an ImageNet GoogLeNet")
    add("--pictures", type=Path, required=True, nargs="+", metavar="DIR", help="folders of training pictures")
    add("--output", type=Path, default=Path("output/distill"), metavar="DIR", help="results (%(default)s)")
    add("--crops", type=script.positive, default=100_000, metavar="N", help="number of crops to train on (%(default)s)")
    add("--side", type=_side, default=96, metavar="PIXELS", help="side of a crop (%(default)s)")
    add("--last-side", type=_side, default=128, metavar="PIXELS", help="side of a crop in the last fifth (%(default)s)")
    add("--batch-size", type=script.positive, default=32, metavar="N", help="crops per step (%(default)s)")
    add("--learning-rate", type=float, default=1e-3, metavar="RATE", help="peak learning rate (%(default)s)")
    add("--start", default="bundled", metavar="WEIGHTS", help="initial weights: bundled, a file, or none (%(default)s)")
    add("--precision", choices=("auto", "float32", "bfloat16"), default="auto", help="(%(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="random seed of crops and initial weights (%(default)s)")
    return parser.parse_args(argv)


def _side(text: str) -> int:
    """An argparse type: the side of a crop."""
    value = int(text)
    if not (32 <= value <= 512 and value % 32 == 0):
        raise argparse.ArgumentTypeError(f"{text} is not a multiple of 32 from 32 to 512")
    return value


def _start(name: str, teacher: Teacher) -> keras.Model:
    plain = weights.load(name)
    kernel = plain.get_layer("classifier").get_weights()[0] if name != "imagenet" else None
    if kernel is None or kernel.shape != teacher.kernel.shape:
        raise WrongUse(f"The weights {name} do not fit this teacher: give others, or --start none.")
    return plain


def _prepared(
    options: argparse.Namespace,
    teacher: Teacher,
    start: keras.Model | None,
    pictures: list[np.ndarray],
    precision: str,
) -> tuple[Distiller, "Checkpoint"]:
    """The distiller, ready to start or continue training."""
    widths = [model.shape[-1] for model in teacher.maps.outputs]
    pupil = student(widths[: len(GUIDED)], widths[-1], precision)
    # Of their own, and the same in a run that is continued.
    batches = list(_batches(Crops(pictures, options.side, options.batch_size, options.seed + 1, range(MEASURED))))
    maps = [[np.asarray(m, np.float32) for m in teacher.maps.predict_on_batch(clean)] for _, clean in batches]
    squares = [np.mean([np.square(m).mean((0, 1, 2)) for m in of_batches], 0) for of_batches in zip(*maps, strict=True)]
    scales = [np.sqrt(square + 1e-4).astype(np.float32) for square in squares]
    distiller = Distiller(pupil, teacher, scales)
    distiller.compile(_optimizer(options, pupil), jit_compile=False)
    checkpoint = Checkpoint(options, distiller)
    if not checkpoint.restore() and start is not None:
        unfold(start, pupil, [pixels for pixels, _ in batches])
        targets = [[m / s for m, s in zip(each, scales, strict=True)][: len(GUIDED)] for each in maps]
        fit_adapters(pupil, [(pixels, each) for (pixels, _), each in zip(batches, targets, strict=True)])
    return distiller, checkpoint


def _batches(crops: Crops) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The inputs of student and teacher."""
    for k in range(len(crops)):
        disturbed, clean = crops[k]
        yield disturbed - MEAN, clean - TEACHER_MEAN


def _optimizer(options: argparse.Namespace, pupil: keras.Model) -> keras.optimizers.Optimizer:
    steps = _steps(options)
    warm_up = round(WARM_UP * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0 if warm_up else options.learning_rate,
        max(1, steps - warm_up),
        alpha=FINAL_RATE,
        warmup_target=options.learning_rate if warm_up else None,
        warmup_steps=warm_up,
    )
    made = keras.optimizers.AdamW(rate, weight_decay=0.02, beta_1=0.9, beta_2=0.98, global_clipnorm=5.0)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    made.build(pupil.trainable_variables)
    return made


def _steps(options: argparse.Namespace) -> int:
    return -(-options.crops // options.batch_size)


def _work(options: argparse.Namespace, step: int) -> int:
    """What is left to do after so many steps: pixels, but for a factor."""
    steps, larger = _steps(options), round(LAST_PART * _steps(options))
    return max(0, larger - step) * options.side**2 + (steps - max(step, larger)) * options.last_side**2


def _train(
    distiller: Distiller, options: argparse.Namespace, pictures: list[np.ndarray], checkpoint: "Checkpoint"
) -> None:
    done = int(distiller.optimizer.iterations)
    steps, larger = _steps(options), round(LAST_PART * _steps(options))
    watching = [checkpoint, Progress(options, done)]
    for side, part in ((options.side, range(larger)), (options.last_side, range(larger, steps))):
        if part := part[max(0, done - part.start) :]:
            workers = {"workers": cores(0), "max_queue_size": 4 * cores(0)}
            crops = Crops(pictures, side, options.batch_size, options.seed, part, **workers)
            distiller.fit(crops, shuffle=False, verbose=0, callbacks=watching)
    checkpoint.save()


class Checkpoint(keras.callbacks.Callback):
    """The state of the training on disk, whole or not at all."""

    def __init__(self, options: argparse.Namespace, distiller: Distiller):
        super().__init__()
        self.path = options.output / "checkpoint.npz"
        names = ("crops", "side", "last_side", "batch_size", "learning_rate", "seed", "start")
        self.settings = json.dumps({name: getattr(options, name) for name in names})
        self.variables = [*distiller.pupil.variables, *distiller.optimizer.variables]
        self.saved = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:  # noqa: ARG002  (as Keras calls it)
        if time.monotonic() - self.saved >= CHECKPOINT_SECONDS:
            self.save()

    def save(self) -> None:
        arrays = {f"{k}": ops.convert_to_numpy(variable) for k, variable in enumerate(self.variables)}
        with files.whole(self.path) as part, part.open("wb") as file:
            np.savez(file, settings=self.settings, **arrays)
        self.saved = time.monotonic()

    def restore(self) -> bool:
        """Whether there was a state to go on from. Raises WrongUse where it is that of another run."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                settings = str(file["settings"])
                if settings != self.settings:
                    raise WrongUse(
                        f"{self.path} belongs to a run with other settings ({settings}): use those, choose another "
                        "--output, or delete it."
                    )
                for k, variable in enumerate(self.variables):
                    variable.assign(file[f"{k}"])
        except FileNotFoundError:
            return False
        except (zipfile.BadZipFile, KeyError, ValueError):
            raise WrongUse(
                f"{self.path} is damaged or was written by another version: delete it to start again."
            ) from None
        return True


class Progress(keras.callbacks.Callback):
    """A line every so often: the step, crops a second, the losses since the last line, and the time left."""

    def __init__(self, options: argparse.Namespace, done: int):
        super().__init__()
        self.options, self.steps, self.done = options, _steps(options), done
        self.printed = time.monotonic()
        self.printed_step = done

    def on_train_batch_end(self, batch: int, logs: dict[str, float]) -> None:  # noqa: ARG002  (as Keras calls it)
        self.done += 1
        now = time.monotonic()
        if now - self.printed < PRINT_SECONDS and self.done < self.steps:
            return
        elapsed = now - self.printed
        pace = (self.done - self.printed_step) * self.options.batch_size / elapsed
        work, left = _work(self.options, self.printed_step), _work(self.options, self.done)
        minutes = left / (work - left) * elapsed / 60
        losses = "  ".join(f"{name} {value:.3f}" for name, value in logs.items())
        print(f"step {self.done}/{self.steps}  {pace:.1f} crops/s  {minutes:.0f} min left  {losses}", flush=True)
        self.model.reset_metrics()
        self.printed, self.printed_step = now, self.done


def _classifier(
    pupil: keras.Model, teacher: Teacher, options: argparse.Namespace, pictures: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The kernel (channels, classes) and bias (classes,) that compute the teacher's scores from the student's maps.

    The residual of the teacher's own classifier is fitted by ridge regression, because the student's channels resemble
    the teacher's, but are weaker and not quite the same. Training on the divergence of the classes gave worse results.
    """
    steps = range(-(-min(FITTED, options.crops) // options.batch_size))
    crops = Crops(pictures, options.last_side, options.batch_size, options.seed + 2, steps)
    pooled, targets = [], []
    for pixels, clean in script.progress(_batches(crops), total=len(crops), what="Fitting classes", unit=" batches"):
        pooled.append(np.asarray(pupil.predict_on_batch(pixels)[-1]).mean((1, 2)))
        last = np.asarray(teacher.maps.predict_on_batch(clean)[-1]).mean((1, 2))
        targets.append(last @ teacher.kernel + teacher.bias)
    seen, scores = np.concatenate(pooled), np.concatenate(targets)
    spread = seen.std(axis=0) + 1e-4
    left = scores - (seen @ teacher.kernel + teacher.bias)
    fitted = Ridge(RIDGE * len(seen)).fit(seen / spread, left)
    return teacher.kernel + fitted.coef_.T / spread[:, None], teacher.bias + fitted.intercept_


def _measured(
    distiller: Distiller, plain: keras.Model, teacher: Teacher, held_out: list[np.ndarray], side: int
) -> dict:
    """Losses on held-out pictures, and how well the scores of the folded network reproduce the teacher's."""
    losses, student_scores, teacher_scores = [], [], []
    for k in range(0, len(held_out), 32):
        batch = np.stack([centre(picture, side) for picture in held_out[k : k + 32]])
        distiller.reset_metrics()
        losses.append(distiller.test_on_batch(batch, batch, return_dict=True))
        student_scores.append(plain.predict_on_batch(batch - MEAN))
        teacher_scores.append(teacher(batch)[0].mean((1, 2)) @ teacher.kernel + teacher.bias)
    shares = np.array([len(scores) for scores in student_scores]) / len(held_out)
    means = {name: float(shares @ [float(each[name]) for each in losses]) for name in losses[0]}
    return {"losses": means} | fidelity(np.concatenate(student_scores), np.concatenate(teacher_scores))


def fidelity(student: np.ndarray, teacher: np.ndarray) -> dict[str, float]:
    """How well the student's scores (pictures, classes) reproduce the teacher's.

    r2: share of the variance explained, of scores less their mean over the classes, which the softmax ignores.
    top5: share of the teacher's five best classes that are among the student's five best.
    """
    best = [set(row) for row in np.argsort(-student)[:, :5]]
    kept = [len(one & set(row)) / 5 for one, row in zip(best, np.argsort(-teacher)[:, :5], strict=True)]
    student, teacher = (each - each.mean(axis=1, keepdims=True) for each in (student, teacher))
    unexplained = np.square(student - teacher).sum() / max(np.square(teacher - teacher.mean(axis=0)).sum(), 1e-12)
    return {"r2": float(1 - unexplained), "top5": float(np.mean(kept))}


def _write(plain: keras.Model, options: argparse.Namespace, run: dict, held_out: dict) -> None:
    path = options.output / "vgg16_cam.weights.h5"
    with files.whole(path, ending=".weights.h5") as part:  # Keras refuses other names
        weights.save_half(plain, part)
    run = {"back_end": keras.backend.backend()} | run | {"crops": _steps(options) * options.batch_size}
    content = {"settings": vars(options), "run": run, "held_out": held_out}
    files.write(options.output / "distill.json", json.dumps(content, indent=2, default=str).encode() + b"\n")
    print(f"{path}: R2 {held_out['r2']:.2f}, {held_out['top5']:.0%} of the teacher's five best classes kept")


if __name__ == "__main__":
    script.run(main)
