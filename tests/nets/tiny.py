"""A network small enough for tests."""

import dataclasses

from fundusseg.config import AugmentConfig, Preset
from fundusseg.presets import PRESETS

FRAME_PX = 96


def tiny_preset(**train) -> Preset:
    """The native preset with a discriminator, a 96-px frame, few filters, small batches."""
    native = PRESETS["native"]
    return dataclasses.replace(
        native,
        frame=dataclasses.replace(native.frame, sizes_px=(FRAME_PX,)),
        generator=dataclasses.replace(
            native.generator, encoder_filters=(4, 8), bottleneck_filters=8
        ),
        discriminator=dataclasses.replace(
            native.discriminator, strided_filters=(4,), last_filters=4
        ),
        loss=dataclasses.replace(native.loss, adversarial=0.01),
        augment=AugmentConfig(crop_px=64),
        train=dataclasses.replace(native.train, batch=2, warmup_steps=2, **train),
    )
