"""PGGAN and Pix2PixHD as Keras models: fit, callbacks, saving, XLA, and draws that depend on seed and position."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.gan_models import PGGAN, Pix2PixHD, at_level
from models.pggan import Discriminator, Generator
from models.pix2pixhd import GlobalGenerator, LocalEnhancer, MultiscaleDiscriminator
from models.smanet import SMANet
from training.devices import make_strategy
from training.schedules import Growth, GrowthSchedule, LinearDecay, linear_decay

NET = {"fmap_base": 64, "fmap_max": 8}
SMALL = {"ngf": 4, "n_downsampling": 1, "n_blocks": 1}


def _pictures(count=8, side=16, channels=1):
    return np.random.default_rng(0).uniform(-1, 1, (count, side, side, channels)).astype(np.float32)


def _pggan(side=8, seed=0, **options):
    keras.utils.set_random_seed(1)
    gan = PGGAN(Generator(side, **NET), Discriminator(side, **NET), seed=seed, **options)
    gan.compile(keras.optimizers.Adam(1e-3, 0.0, 0.99), keras.optimizers.Adam(1e-3, 0.0, 0.99))
    return gan


def _translator(**options):
    keras.utils.set_random_seed(1)
    translator = Pix2PixHD(GlobalGenerator(**SMALL), MultiscaleDiscriminator(4, 1, 2), **options)
    translator.compile(keras.optimizers.Adam(2e-4, 0.5), keras.optimizers.Adam(2e-4, 0.5))
    return translator


def _labelled(count=4, side=16):
    codes = np.random.default_rng(1).integers(0, 3, (count, side, side))
    return np.eye(3, dtype=np.float32)[codes], _pictures(count, side)


def _same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_a_pggan_grows_under_fit():
    gan, levels = _pggan(8), []
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: levels.append(
        (gan.level, round(float(gan.fade.numpy()), 3))))
    data = tf.data.Dataset.from_tensor_slices(_pictures(16, 8)).batch(4, drop_remainder=True)
    history = gan.fit(data, epochs=2, verbose=0,
                      callbacks=[Growth(GrowthSchedule(8, 4, 0.008, 0.016, 4)), watch]).history
    # 8 images at 4 pixels, 16 while 8 pixels fade in, then whole
    first = round(1 / 16, 3)  # a fade begins with the weight of its first image
    assert levels == [(2, 1.0), (2, 1.0), (3, first), (3, 0.25), (3, 0.5), (3, 0.75), (3, 1.0), (3, 1.0)]
    assert int(gan.position.numpy()) == 32
    assert all(np.isfinite(history[name]).all() for name in ("d_loss", "g_loss", "penalty", "g_gradient"))


def test_predict_makes_pictures_of_the_present_level():
    gan, latents = _pggan(16), np.ones((2, 8), np.float32)
    for level, side in ((2, 4), (4, 16), (3, 8)):
        gan.grow(level, 0.5)
        made = gan.predict(latents, verbose=0)
        assert made.shape == (2, side, side, 1)
        np.testing.assert_allclose(made, gan.average(latents, level=level, fade=0.5), atol=1e-6)


def _segmenter():
    segmenter = SMANet(3, depth=14, width=8, attention="none")
    segmenter.compile("sgd", loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return segmenter


@pytest.mark.parametrize("kind", ["pix2pixhd", *(pytest.param(kind, marks=pytest.mark.slow)
                                                 for kind in ("pggan", "smanet"))])
def test_fit_under_a_strategy(kind):
    make = {"pggan": _pggan, "pix2pixhd": lambda: _translator(average_decay=0.9), "smanet": _segmenter}[kind]
    codes, films = _labelled(4, 8 if kind == "pggan" else 16)
    data = {"pggan": (films,), "pix2pixhd": (codes, films), "smanet": (films, codes.argmax(-1))}[kind]
    with make_strategy("mirrored").scope():
        model = make()
    if kind == "pix2pixhd":
        with pytest.raises(ValueError, match=r"build\(\(None, None, None, 3\)\)"):
            model.fit(*data, batch_size=4, verbose=0)
        with model.distribute_strategy.scope():
            model = make()
            model.build((None, None, None, 3))
    history = model.fit(*data, batch_size=4, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    if kind != "smanet":
        assert int(model.position.numpy()) == {"pggan": 8, "pix2pixhd": 2}[kind]


def test_the_average_follows_the_generator(eager):
    gan = _pggan(4, average_decay=0.5)
    before = [weights.copy() for weights in gan.average.get_weights()]
    generator = [weights.copy() for weights in gan.generator.get_weights()]
    gan.train_on_batch(_pictures(4, 4))
    # updated between the discriminator's step and the generator's, so it saw the generator as it was
    for ours, old, theirs in zip(gan.average.get_weights(), before, generator, strict=True):
        np.testing.assert_allclose(ours, 0.5 * old + 0.5 * theirs, rtol=1e-6)
    gan.train_on_batch(_pictures(4, 4))
    assert not _same(gan.average, gan.generator)
    latents = np.ones((2, 8), np.float32)
    np.testing.assert_allclose(gan(latents), gan.average(latents), atol=1e-6)


def test_a_translator_s_average_follows_its_generator_and_makes_the_pictures(eager):
    translator = _translator(average_decay=0.5)
    translator.build((None, None, None, 3))
    for step in range(3):
        before = [weights.copy() for weights in translator.average.get_weights()]
        translator.train_on_batch(*_labelled(2))
        decay = min(0.5, (1 + step) / (10 + step))
        for ours, old, theirs in zip(translator.average.get_weights(), before, translator.generator.get_weights(),
                                     strict=True):
            np.testing.assert_allclose(ours, decay * old + (1 - decay) * theirs, rtol=1e-5, atol=1e-7)
    codes, _ = _labelled(2)
    assert not _same(translator.average, translator.generator)
    np.testing.assert_allclose(translator(codes), translator.average(codes), atol=1e-6)


def test_an_average_changes_no_training(eager):
    plain, averaged = _translator(), _translator(average_decay=0.9)
    for model in (plain, averaged):
        model.train_on_batch(*_labelled(2))
    assert _same(plain.generator, averaged.generator) and _same(plain.discriminator, averaged.discriminator)


def test_draws_depend_on_seed_and_position_alone(eager):
    one, same, seeded, moved = _pggan(4), _pggan(4), _pggan(4, seed=1), _pggan(4)
    moved.position.assign(4)
    for gan in (one, same, seeded, moved):
        gan.train_on_batch(_pictures(4, 4))
    assert _same(one, same) and not _same(one, seeded) and not _same(one, moved)


def test_real_pictures_fade_as_generated_ones_do():
    pictures = _pictures(2)
    fine = pictures.reshape(2, 8, 2, 8, 2, 1).mean((2, 4))
    coarse = np.repeat(np.repeat(fine.reshape(2, 4, 2, 4, 2, 1).mean((2, 4)), 2, 1), 2, 2)
    np.testing.assert_allclose(at_level(pictures, 3, 0.25), coarse + 0.25 * (fine - coarse), atol=1e-6)
    np.testing.assert_allclose(at_level(pictures, 4, 1.0), pictures, atol=1e-6)


def test_networks_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="16"):
        PGGAN(Generator(16, **NET), Discriminator(32, **NET))
    with pytest.raises(ValueError, match="5"):
        _pggan(16).grow(5)


def test_evaluate_is_refused_by_what_has_no_score():
    with pytest.raises(NotImplementedError, match="PGGAN"):
        _pggan().evaluate(_pictures(side=8), verbose=0)


def test_a_translator_is_built_and_trained_by_fit():
    translator = _translator()
    data = tf.data.Dataset.from_tensor_slices(_labelled()).batch(2, drop_remainder=True)
    rates = []
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: rates.append(float(translator.optimizer.learning_rate)))
    history = translator.fit(data, epochs=3, verbose=0, callbacks=[LinearDecay(1e-3, 1, 2), watch]).history
    assert set(history) == {"d_real", "d_fake", "g_gan", "g_features", "d_gradient", "g_gradient"}
    np.testing.assert_allclose(rates, [linear_decay(1e-3, epoch, 1, 2) for epoch in range(3)], rtol=1e-6)
    assert int(translator.position.numpy()) == 6
    known = {id(variable) for variable in translator.generator.trainable_variables}
    moments = len(translator.optimizer.variables) - 2  # a step count and a rate
    assert moments == 2 * len(known)  # the discriminator's variables are not among them


def test_only_the_enhancer_is_trained(eager):
    translator = Pix2PixHD(LocalEnhancer(n_local_blocks=1, **SMALL), MultiscaleDiscriminator(4, 1, 1),
                           enhancer_only=True)
    translator.compile("adam", "adam")
    data = _labelled(2)
    translator.build(data[0].shape)
    before = translator.generator.global_generator.get_weights()
    outer = [variable.numpy() for variable in translator.generator.enhancer_variables]
    translator.train_on_batch(*data)
    for ours, theirs in zip(translator.generator.global_generator.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any(not np.array_equal(variable, old) for variable, old
               in zip(translator.generator.enhancer_variables, outer, strict=True))


@pytest.mark.parametrize("kind", ["pggan", "pix2pixhd"])
def test_a_saved_model_goes_on_as_if_it_had_not_been(kind, tmp_path, eager):
    model, batch = ((_pggan(), (_pictures(4, 8),)) if kind == "pggan" else
                    (_translator(average_decay=0.9), _labelled(2)))
    if kind == "pggan":
        model.grow(3, 0.5)
    model.train_on_batch(*batch)
    model.reset_metrics()
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    if kind == "pggan":
        assert again.level == 3 and float(again.fade.numpy()) == 0.5
    for one in (model, again):
        one.train_on_batch(*batch)
    assert int(again.position.numpy()) == int(model.position.numpy()) > 0
    assert _same(model, again)


@pytest.mark.parametrize("kind", ["pggan", pytest.param("pix2pixhd", marks=pytest.mark.slow)])
def test_xla_computes_the_same_step(kind, monkeypatch):
    """But for its random numbers, which XLA makes in another order."""
    made, draws = [], np.random.default_rng(2).uniform(-1, 1, (4, 8)).astype(np.float32)
    monkeypatch.setattr(PGGAN, "_draw", lambda self, seed, purpose, count: tf.constant(
        np.abs(draws[:, :1, None, None]) if purpose == 2 else draws))
    for jit in (None, False, True):
        model, batch = (_pggan(4), (_pictures(4, 4),)) if kind == "pggan" else (_translator(), _labelled(2))
        model.compile(keras.optimizers.SGD(1e-2), keras.optimizers.SGD(1e-2), jit_compile=bool(jit))
        if kind == "pix2pixhd":
            model.build(batch[0].shape)
        if jit is not None:
            model.train_on_batch(*batch)
        made.append(np.concatenate([weights.ravel() for weights in model.generator.get_weights()]))
    start, plain, xla = made
    assert np.abs(plain - start).max() > 1e-4
    np.testing.assert_allclose(xla - start, plain - start, atol=0.05 * np.abs(plain - start).max())


@pytest.mark.parametrize(("kind", "shape"), [
    ("pggan", "(None, 16, 16, 1)"), ("pix2pixhd", "(None, None, None, 1)"), ("smanet", "(None, None, None, 4)")])
def test_a_summary_shows_shapes(kind, shape):
    model = {"pggan": lambda: _pggan(16), "pix2pixhd": _translator,
             "smanet": lambda: SMANet(4, depth=14, width=8)}[kind]()
    if kind != "pggan":
        model.build((None, None, None, 3 if kind == "pix2pixhd" else 1))
    lines = []
    model.summary(print_fn=lines.append, expand_nested=True)
    text = "\n".join(lines)
    assert shape in text and "?" not in text
