"""Recipes: the paper's changes nothing; others change how pairs are made, and nothing that they do not name."""

import dataclasses

import pytest

from evaluation.results.columns import EXTRAS
from tests.helpers.tiny_experiment import PRESET
from training import presets
from training.config import Pix2PixHDConfig
from training.presets.recipes import RECIPES


@pytest.mark.parametrize("preset", [presets.load(name) for name in presets.NAMES] + [PRESET])
def test_the_paper_s_recipe_is_the_preset(preset):
    assert RECIPES["paper"].applied(preset) == preset and not RECIPES["paper"].extras


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_options_and_columns_that_there_are(name):
    recipe = RECIPES[name]
    changed = recipe.applied(presets.load("cpu"))
    assert set(recipe.extras) <= set(EXTRAS)
    fields = {field.name: field for field in dataclasses.fields(Pix2PixHDConfig)}
    for option, value in recipe.translators.items():
        metadata = fields[option].metadata
        assert (value in metadata["choices"]) if metadata["choices"] else value <= (metadata["most"] or value)
        assert getattr(changed.labels_to_film, option) == getattr(changed.dots_to_labels, option) == value
    for option, value in recipe.segmenters.items():
        assert getattr(changed.segmenter, option) == getattr(changed.finetune, option) == value
    kept = {field.name for field in dataclasses.fields(changed)} - {
        "dots_to_labels", "labels_to_film", "segmenter", "finetune"}
    before = presets.load("cpu")
    assert {field for field in kept if getattr(changed, field) != getattr(before, field)} <= set(recipe.pairs)
