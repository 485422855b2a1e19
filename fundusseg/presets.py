"""The two presets: every default of a model and its training, once.

Native is what the dataclasses of config.py say; pix2pix is the notebook's network and training.
"""

from fundusseg.config import (
    AugmentConfig,
    DiscriminatorConfig,
    FrameConfig,
    GeneratorConfig,
    LossConfig,
    MapConfig,
    Preset,
    TrainConfig,
)

PIX2PIX = Preset(
    name="pix2pix",
    frame=FrameConfig(kind="whole", sizes_px=(256,)),
    generator=GeneratorConfig(
        encoder_filters=(64, 128, 256, 512, 512, 512, 512),
        bottleneck_filters=512,
        residual=False,
        dropout=(0.5, 0.5, 0.5),
        inputs="rgb",
        output="tanh",
        norm_momentum=0.99,
        initial_stddev=0.02,
    ),
    discriminator=DiscriminatorConfig(strided_filters=(64, 128, 256, 512), last_filters=512),
    loss=LossConfig(
        cross_entropy=0.0,
        dice=0.0,
        skeleton_recall=0.0,
        l1=100.0,
        adversarial=1.0,
        adversarial_from=0.0,
    ),
    augment=AugmentConfig(
        crop_px=0,
        rotate=False,
        mirror=False,
        log_scale=0.0,
        log_gamma=0.0,
        channel_gain=0.0,
        grey_probability=0.0,
        shrink_probability=0.0,
        blur_probability=0.0,
        noise=0.0,
        jpeg_probability=0.0,
        rim_probability=0.0,
    ),
    train=TrainConfig(
        epochs=40,
        batch=1,
        learning_rate=2e-4,
        beta1=0.5,
        warmup_steps=0,
        schedule="constant",
        clip_norm=0.0,
        ema_decay=0.0,
        balance=1.0,
        select="l1",
        validate_every=200,
    ),
    map=MapConfig(longest_gap_px=0, smallest_object_px=0),
)

# What train --adapt changes; a third of the steps for each of two folds comes on top.
ADAPTING = {
    "train": {
        "epochs": 0,
        "steps": 1200,
        "learning_rate": 3e-3,
        "warmup_steps": 50,
        "checkpoint_every": 100,
    },
    "augment": {  # nearer to home than for cameras never seen
        "log_gamma": 0.15,
        "channel_gain": 0.05,
        "grey_probability": 0.0,
        "shrink_probability": 0.1,
        "blur_probability": 0.05,
        "noise": 0.02,
        "jpeg_probability": 0.0,
        "rim_probability": 0.1,
    },
}

PRESETS = {"native": Preset(), "pix2pix": PIX2PIX}
