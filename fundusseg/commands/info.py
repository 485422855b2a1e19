"""info: versions, devices, and the card of a model."""

import os
import platform
from pathlib import Path

from fundusseg.errors import EXIT_OK
from fundusseg.files import models
from fundusseg.files.manifest import package_versions
from fundusseg.files.text import read_json, read_text
from fundusseg.processor import free_cores


def run_info(model: str | None) -> int:
    """Print versions, devices and shipped models on stdout; of a model, its card and figures.

    Raises:
        FundussegError: if there is no such model.
    """
    if model is not None:
        print(_description(models.model_folder(model)))
        return EXIT_OK
    for name, version in package_versions().items():
        print(f"{name}\t{version}")
    print(f"python\t{platform.python_version()}")
    print(f"cores\t{free_cores()} of {os.cpu_count()}")
    from fundusseg.nets import runtime

    print(f"gpus\t{', '.join(runtime.gpu_names()) or 'none'}")
    print(f"models\t{', '.join(models.shipped_models()) or 'none'}")
    return EXIT_OK


def _description(folder: Path) -> str:
    preset, threshold, calibration = models.read_config(folder)
    generator = preset.generator
    filters = ", ".join(map(str, (*generator.encoder_filters, generator.bottleneck_filters)))
    sizes = " or ".join(map(str, preset.frame.sizes_px))
    lines = [
        f"model\t{folder}",
        f"sha256\t{models.model_sha256(folder)}",
        f"preset\t{preset.name}",
        f"frame\t{preset.frame.kind}, {sizes} px",
        f"filters\t{filters}",
        f"threshold\t{threshold:g}",
        f"calibrated\t{'yes' if calibration else 'no, probabilities are raw scores'}",
    ]
    training = read_json(folder / models.CONFIG).get("training", {})
    numbers = {name: value for name, value in training.items() if isinstance(value, int)}
    if numbers:
        said = (f"{name.replace('_', ' ')} {value}" for name, value in numbers.items())
        lines.append(f"training\t{', '.join(said)}")
    if masks := models.thresholds_by_masks(folder):
        told = ", ".join(f"{threshold:g} {name}" for name, threshold in masks)
        lines.append(f"thresholds for masks drawn as in\t{told}")
    card = folder / models.CARD
    if card.is_file():
        lines += ["", read_text(card).rstrip()]
    return "\n".join(lines)
