"""A trained model, ready: a photograph in; probability, map, field of view, confidence out.

infer, the notebook's report and the Python API draw through `Segmenter`; the validation of a
training draws frames with the same `nets.prediction`, since it has weights and no model yet.
"""

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fundusseg import ui
from fundusseg.config import DEFAULT_MODEL, MapConfig
from fundusseg.errors import InputError
from fundusseg.files import images, models
from fundusseg.fundus.field_of_view import FieldOfView
from fundusseg.fundus.framing import Framed, framed
from fundusseg.fundus.geometry import circle_in_frame, from_frame
from fundusseg.fundus.quality import FEW_COLOURS, Quality, quality
from fundusseg.fundus.vessel_map import vessel_map
from fundusseg.metrics.expected import expected_dice, mean_entropy
from fundusseg.options import InferOptions
from fundusseg.wording import counted

if TYPE_CHECKING:
    from fundusseg.nets.prediction import Predictor

# Of 280 photographs of seven sets, drawn by models that had not seen the set, the least were 0.53
# and 0.0046 (docs/measures.md). Noise, text, inverted colours had an expected Dice of 0.37 at most,
# and what was blurred by 2 pixels of the frame a sharpness of 0.0008.
LEAST_EXPECTED_DICE = 0.4
LEAST_SHARPNESS = 0.003
# Diameter below which a frame of 704 pixels has more than 4 for each one of the photograph: a sharp
# one is smooth there, too. Of phantoms, all sharp, those of 128 px have 0.0020 to 0.0035, those of
# 192 px 0.0045 or more.
SMALL_PX = 704 / 4
MOST_DRAWN = 0.9  # of 49 photographs of these sets the most was 0.07, and in shades of grey 0.45
ENTROPY_STEP = 8  # pixels, of which one counts: as good, and costs little


@dataclass(frozen=True)
class Segmentation:
    """What a model sees in one photograph, at the photograph's own size.

    probability: float32 (Y, X) in [0, 1] that a pixel is vessel, calibrated where the model has a
    calibration; 0 outside the field of view (but for preset pix2pix, which sees whole photographs).
    vessels: bool (Y, X), the map. expected_dice: the Dice that the probabilities promise the map
    inside the field of view, and mean_entropy theirs there, in bits; None without a calibration.
    quality: the photograph's, in its frame.
    """

    probability: np.ndarray
    vessels: np.ndarray
    field_of_view: FieldOfView
    expected_dice: float | None
    mean_entropy: float | None
    quality: Quality

    @property
    def doubt(self) -> str:
        """Why the map is hardly to be trusted; "" if there is no reason."""
        if self.expected_dice is not None and self.expected_dice < LEAST_EXPECTED_DICE:
            return f"is unlike a fundus photograph (expected Dice {self.expected_dice:.2f})"
        if self.quality.drawn > MOST_DRAWN:
            share = self.quality.drawn
            return f"is drawn, no photograph ({FEW_COLOURS} colours are {share:.0%} of it)"
        if self.quality.sharpness < LEAST_SHARPNESS:
            why, diameter_px = "is blurred", self.field_of_view.diameter_px
            if diameter_px < SMALL_PX:
                why = f"is small: {diameter_px:.0f} px across the field of view"
            return f"{why} (sharpness {self.quality.sharpness:.4f})"
        return ""


class Segmenter:
    """A model with all that is needed to draw with it.

    The network is loaded at the first frame, in the thread that first asks for it. A frame goes
    through it in one thread, since how operations are cut up for several changes the last digits;
    `jobs` of them may do so at once. docs/speed.md has what other ways cost.

    Args:
        model: read by `files.models.read_model`.
        options: of them threshold, keep_small_objects, jobs, precision, batch, tile_px and
            test_time_augmentation.

    Attributes:
        threshold: vessel is where the probability is at least this; by default the model's.
        map_config: how the map is cleaned once it is cut.
        jobs: frames at once.
    """

    def __init__(self, model: models.Model, options: InferOptions):
        self.model, self.options = model, options
        self.threshold = model.threshold if options.threshold is None else options.threshold
        as_cut = MapConfig(longest_gap_px=0, smallest_object_px=0)
        self.map_config = as_cut if options.keep_small_objects else model.preset.map
        self.jobs = options.threads

    @staticmethod
    def load(name: str = DEFAULT_MODEL, **options: Any) -> "Segmenter":
        """The segmenter of a shipped model's name or of a model folder; options as above.

        Raises:
            FundussegError: if there is no such model, or it is not finished or damaged.
            TypeError: if there is no such option.
        """
        model = models.read_model(models.model_folder(name))
        return Segmenter(model, InferOptions(model=name, **options))

    def segment(
        self, photograph: np.ndarray, field_of_view: np.ndarray | None = None
    ) -> Segmentation:
        """Find the vessels of a photograph.

        Args:
            photograph: uint8 (Y, X, 3) sRGB, at least 32 pixels a side.
            field_of_view: bool (Y, X); None has it found.

        Raises:
            ValueError: if the arrays are not such, or the photograph shows several fields of view.
            InputError: if the model's weights do not fit its configuration.
        """
        frame = self.framed(photograph, field_of_view)
        scores = self.scores(frame.image[np.newaxis], frame.fov[np.newaxis])[0]
        return self.segmentation(frame, scores)

    def framed(self, photograph: np.ndarray, field_of_view: np.ndarray | None = None) -> Framed:
        """A photograph in the model's frame; arguments and errors as in `segment`.

        The field of view of a photograph that shows nothing is empty.
        """
        _require_photograph(photograph, field_of_view)
        frame = framed(photograph, field_of_view, self.model.preset.frame)
        if not images.is_blank(photograph):
            return frame
        empty = (np.zeros_like(frame.fov), np.zeros_like(frame.native_fov))
        return replace(frame, fov=empty[0], native_fov=empty[1])

    def scores(self, images: np.ndarray, fovs: np.ndarray) -> np.ndarray:
        """What the network says of frames, as `nets.prediction.Predictor.scores`.

        InputError if the model's weights do not fit its configuration.
        """
        return self._predictor.scores(images, fovs)

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """The scores calibrated; as they are where the model has no calibration."""
        return self.model.calibration(scores) if self.model.calibration else scores

    @property
    def batch(self) -> int:
        """How many frames go through the network together; loads it."""
        return self._predictor.batch

    def segmentation(self, frame: Framed, scores: np.ndarray) -> Segmentation:
        """A frame's scores, float32 (S, S), brought back to the photograph and calibrated there."""
        probability = self.probabilities(from_frame(scores, frame.geometry))
        vessels = vessel_map(probability, self.threshold, self.map_config, frame.geometry)
        dice = entropy = None
        if self.model.calibration:
            inside = probability[frame.native_fov]
            dice = expected_dice(inside, vessels[frame.native_fov])
            entropy = mean_entropy(inside[::ENTROPY_STEP])
        circle = circle_in_frame(frame.field_of_view, frame.geometry)
        seen = quality(frame.image, frame.fov, circle)
        return Segmentation(probability, vessels, frame.field_of_view, dice, entropy, seen)

    @functools.cached_property
    def _predictor(self) -> "Predictor":
        from fundusseg.nets import runtime
        from fundusseg.nets.prediction import Predictor

        model, options = self.model, self.options
        runtime.start(threads_per_operation=1, operations_at_once=self.jobs)
        chosen = runtime.chosen_precision(options.precision)
        frames = runtime.chosen_batch(options.batch)
        at_once = f"{counted(self.jobs * frames, 'frame')} at once"
        ui.log.info("model %s, precision %s, %s", model.folder, chosen, at_once)
        try:
            how = (chosen, frames, options.tile_px, options.test_time_augmentation)
            return Predictor(model.preset, model.weights, *how)
        except ValueError as error:
            raise InputError(model.folder, str(error)) from error


def segment(
    photograph: np.ndarray, model: str = DEFAULT_MODEL, test_time_augmentation: bool = False
) -> np.ndarray:
    """The vessel probability of each pixel of a photograph, calibrated.

    Args:
        photograph: uint8 (Y, X, 3) sRGB, at least 32 pixels a side.
        model: a shipped model's name or a model folder.
        test_time_augmentation: the mean over four mirror images, at four times the cost.

    Returns:
        float32 (Y, X) in [0, 1]; 0 outside the field of view, but for models of preset pix2pix.

    Raises:
        ValueError: if the array is no such photograph.
        FundussegError: if there is no such model.
    """
    _require_photograph(photograph, None)
    sha256 = models.model_sha256(models.model_folder(model))
    return _segmenter(model, sha256, test_time_augmentation).segment(photograph).probability


@functools.lru_cache(maxsize=1)
def _segmenter(model: str, sha256: str, test_time_augmentation: bool) -> Segmenter:
    """The one that was used last; sha256: a model trained anew is loaded anew."""
    return Segmenter.load(model, test_time_augmentation=test_time_augmentation)


def _require_photograph(photograph: np.ndarray, field_of_view: np.ndarray | None) -> None:
    shape = np.shape(photograph)
    is_rgb = getattr(photograph, "dtype", None) == np.uint8 and len(shape) == 3 and shape[2] == 3
    if not is_rgb or min(shape[:2]) < images.SMALLEST_SIDE_PX:
        kind = getattr(photograph, "dtype", type(photograph).__name__)
        least = images.SMALLEST_SIDE_PX
        raise ValueError(
            f"a photograph is uint8 (Y, X, 3), {least} pixels a side at least, not {kind} {shape}"
        )
    if field_of_view is not None and (
        field_of_view.dtype != bool or field_of_view.shape != shape[:2]
    ):
        said = f"{field_of_view.dtype} {field_of_view.shape}"
        raise ValueError(f"a field of view is bool {shape[:2]} for this photograph, not {said}")
