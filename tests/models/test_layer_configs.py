"""Every layer and network of ours comes back from its own config, and says its output shape."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from models import (
    gan_models,
    pggan,
    pggan_layers,
    pix2pixhd,
    pix2pixhd_layers,
    resnet,
    segmenter,
    smanet,
    two_players,
    unet,
)

NORM = {"bn_momentum": 0.9, "synchronized_bn": False}
SMALL = {"n_downsampling": 1, "n_blocks": 1}
# class -> its arguments, and the shape it is built for
CASES = {
    pggan_layers.EqualizedDense: ({"units": 3, "gain": 1.0}, (None, 5)),
    pggan_layers.LatentToMaps: ({"filters": 3}, (None, 5)),
    pggan_layers.EqualizedConv2D: ({"filters": 3, "kernel_size": 3, "gain": 1.0}, (None, 8, 8, 2)),
    pggan_layers.UpscaleConv2D: ({"filters": 3, "fused": False}, (None, 8, 8, 2)),
    pggan_layers.ConvDownscale2D: ({"filters": 3, "fused": False}, (None, 8, 8, 2)),
    pggan.GeneratorBlock: ({"filters": 3, "fused": False}, (None, 8, 8, 2)),
    pggan.DiscriminatorBlock: ({"filters": 3, "fused": False}, (None, 8, 8, 2)),
    pggan.Generator: ({"resolution": 8, "channels": 2, "fmap_max": 4, "latent_size": 3}, (None, 3)),
    pggan.Discriminator: ({"resolution": 8, "channels": 2, "fmap_max": 4, "group_size": 2}, (4, 8, 8, 2)),
    pix2pixhd_layers.PaddedConv2D: ({"filters": 3, "kernel_size": 4, "strides": 2, "pad": 2, "reflect": True},
                                    (None, 8, 8, 2)),
    pix2pixhd_layers.DoublingConv2DTranspose: ({"filters": 3}, (None, 8, 8, 2)),
    pix2pixhd_layers.ResizeConv2D: ({"filters": 3}, (None, 8, 8, 2)),
    pix2pixhd_layers.ResidualBlock: ({"filters": 2}, (None, 8, 8, 2)),
    pix2pixhd_layers.ConvNormReLU: ({"conv": (pix2pixhd_layers.PaddedConv2D, {"filters": 3, "kernel_size": 3,
                                                                            "pad": 1})}, (None, 8, 8, 2)),
    pix2pixhd_layers.InstanceNorm: ({}, (None, 8, 8, 2)),
    pix2pixhd.OutputHead: ({"channels": 3}, (None, 8, 8, 2)),
    pix2pixhd.GlobalFeatures: ({"ngf": 2, **SMALL}, (None, 8, 8, 2)),
    pix2pixhd.GlobalGenerator: ({"output_channels": 2, "ngf": 2, **SMALL}, (None, 8, 8, 3)),
    pix2pixhd.LocalEnhancer: ({"output_channels": 2, "ngf": 2, "n_local_blocks": 1, **SMALL}, (None, 16, 16, 3)),
    pix2pixhd.PatchDiscriminator: ({"ndf": 2, "n_layers": 2}, (None, 16, 16, 3)),
    pix2pixhd.MultiscaleDiscriminator: ({"ndf": 2, "n_layers": 1, "num_D": 2}, (None, 16, 16, 3)),
    resnet.BatchNormalization: ({"momentum": 0.9}, (None, 8, 8, 2)),
    resnet.Bottleneck: ({"filters": 2, "stride": 2, "dilation": 1, "project": True, **NORM}, (None, 8, 8, 2)),
    resnet.DilatedResNet: ({"depth": 14, "width": 4, "dilated": False, "bn_momentum": 0.9}, (None, 32, 32, 1)),
    smanet.SameConv2D: ({"filters": 3, "kernel_size": 3}, (None, 8, 8, 2)),
    smanet.ConvBlock: ({"filters": 3, "kernel_size": 1, **NORM}, (None, 8, 8, 2)),
    smanet.ScaleAttention: ({"scale": 2, "values": 3, **NORM}, (None, 8, 8, 2)),
    smanet.ScalePooling: ({"scale": 2, "values": 3, **NORM}, (None, 8, 8, 2)),
    smanet.SMANet: ({"num_classes": 3, "depth": 14, "width": 8, "attention": "psp"}, (None, 32, 32, 1)),
    unet.TwoConvBlocks: ({"filters": 3, **NORM}, (None, 8, 8, 2)),
    unet.UNet: ({"num_classes": 3, "width": 4, "levels": 2}, (None, 32, 32, 1)),
}


def _made(kind):
    """A layer of its case, and the shape to build it for."""
    arguments, shape = CASES[kind]
    inner = {name: value[0](**value[1]) for name, value in arguments.items() if isinstance(value, tuple)}
    return kind(**{**arguments, **inner}), shape


def _classes():
    for module in (pggan_layers, pggan, pix2pixhd_layers, pix2pixhd, resnet, smanet, unet, gan_models):
        for name, value in vars(module).items():
            if inspect.isclass(value) and issubclass(value, keras.layers.Layer) and not name.startswith("_"):
                yield value


def test_every_layer_is_tried():
    ours = {one for one in _classes() if one.__module__.startswith("models.")}
    others = {gan_models.PGGAN, gan_models.Pix2PixHD}  # tests/models/test_gan_models.py
    assert ours - set(CASES) == {*others, segmenter.Segmenter, two_players.TwoPlayers}  # the last: base classes


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_a_layer_comes_back_from_its_config(kind):
    first, shape = _made(kind)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(first))
    assert type(again) is kind and again.get_config() == first.get_config()
    for one in (first, again):
        one.build(shape)
    again.set_weights(first.get_weights())
    inputs = np.random.default_rng(0).uniform(-1, 1, [4 if side is None else side for side in shape])
    made, expected = (tf.nest.flatten(one(inputs.astype(np.float32))) for one in (again, first))
    for ours, theirs in zip(made, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", CASES, ids=lambda kind: kind.__name__)
def test_a_layer_says_the_shape_it_gives(kind):
    layer, shape = _made(kind)
    full = tuple(4 if side is None else side for side in shape)
    given = tf.nest.map_structure(lambda one: tuple(one.shape), layer(np.zeros(full, np.float32)))
    said = layer.compute_output_shape(full)
    assert _tuples(said) == _tuples(given)


def _tuples(shapes):
    """Shapes of any nesting as one flat list of tuples, dictionaries by key."""
    if isinstance(shapes, dict):
        return [shape for key in sorted(shapes) for shape in _tuples(shapes[key])]
    if isinstance(shapes, (list, tuple)) and not all(isinstance(side, int) for side in shapes):
        return [shape for one in shapes for shape in _tuples(one)]
    return [tuple(shapes)]
