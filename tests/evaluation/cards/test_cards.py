"""Cards: heads that YAML reads back, texts of others that stay texts, and the figures of the run."""

import json
import shutil

import numpy as np
import pytest
import yaml

from datasets.patients import same_patient
from datasets.sources.phantom import write_phantoms
from evaluation.cards.model_card import model_card
from evaluation.cards.parts import head, literal
from evaluation.results.made_with import MadeWith
from evaluation.synthetic.near_duplicates import duplicate_distance, near_duplicates

FACTS = {"class_names": ["background", "left lung", "heart"], "size": 64, "window": 64}


@pytest.mark.parametrize("text", ["plain", "yes", "a: b", "- x", "#", 'q"\\', "---\nlicense: mit", "Größe 漢", "",
                                  "\U0001f600 \U0002000b", "\0\t\x1b\x7f\x85\xa0\u2028\ufeff\ufffe\U0010ffff"])
def test_a_head_is_read_back_as_it_was(text):
    facts = {"pretty_name": text, "tags": [text, "b"], "viewer": False}
    lines = head(facts).split("\n")
    assert lines[0] == lines[-1] == "---" and yaml.safe_load("\n".join(lines[1:-1])) == facts


def test_names_of_others_stay_names():
    assert literal("a_b") == "`a_b`"
    for text in ("`x`", "a|b", "<script>", " a"):
        assert not set(literal(text)) & set("`|<")


def test_a_model_card_has_figures_here_and_elsewhere_and_names_failures(tmp_path):
    root = tmp_path / "run"
    store = write_phantoms(root / "data" / "gan-films", 4, 2, 32, 0)
    for folder in ("tasks", "finetune-3", "evaluate-finetune-3", "external-Far.finetune-3"):
        (root / folder).mkdir(parents=True)
    (root / "data" / "subset.json").write_text(json.dumps({"config": "tiny", "seed": 4, "train": ["a", "b"]}))
    pooled = {"films": 2, "scored": ["heart"], "counts": {"heart": [90, 5, 5]}}
    (root / "evaluate-finetune-3" / "pooled.json").write_text(json.dumps(pooled))
    far = {**pooled, "films": 7, "counts": {"heart": [60, 20, 20]}}
    (root / "external-Far.finetune-3" / "pooled.json").write_text(json.dumps(far))
    (root / "evaluate-finetune-3" / "per_film.csv").write_text(
        "film,organ,tp,fp,fn,j,dsc\ngood,heart,9,0,1,0.9,0.95\nbad,heart,1,4,5,0.1,0.18\n")
    card = model_card(str(root / "finetune-3"), FACTS, {"commit": "0123"})
    assert "| J Heart | 90.00 | 60.00 |" in card and "| films | 2 | 7 |" in card
    assert card.index("| `bad` | 10.00 |") < card.index("| `good` | 90.00 |")
    assert "2 films of" in card and "Not a medical device" in card and store.ids()[0] not in card
    assert yaml.safe_load(card.split("---\n")[1])["pipeline_tag"] == "image-segmentation"
    for heading in ("Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data",
                    "Quantitative analyses", "Ethical considerations", "Caveats and recommendations"):
        assert f"\n## {heading}\n" in card
    MadeWith("cpu", "best").write(root)
    assert "recipe" not in card and "seed 4, recipe best)" in model_card(str(root / "finetune-3"), FACTS, {})
    (root / "pseudo").mkdir()
    assert "without label maps" in model_card(str(root / "pseudo"), FACTS, {}) and "without label maps" not in card
    (root / "mine").mkdir()
    shutil.copytree(root / "evaluate-finetune-3", root / "evaluate-mine")
    mine = model_card(str(root / "mine"), FACTS, {})  # a user's own run beside the columns
    assert "| J Heart | 90.00 |" in mine and "2 films of" not in mine and "No network saw" not in mine
    far["external"] = {"network": "of another network"}
    (root / "external-Far.finetune-3" / "pooled.json").write_text(json.dumps(far))
    (root / "finetune-3" / "product.json").write_text('{"network": "last.keras"}')
    (root / "finetune-3" / "last.keras").write_bytes(b"weights")
    anew = model_card(str(root / "finetune-3"), FACTS, {})
    assert "| J Heart | 90.00 |" in anew and "60.00" not in anew
    alone = model_card(str(tmp_path / "model.keras"), FACTS, {})
    assert "Not known" in alone and "90.00" not in alone


def test_near_duplicates_leave_the_first_of_each_however_many_are_loaded_at_once(monkeypatch):
    draw = np.random.default_rng(0)
    base = draw.integers(0, 256, (6, 48, 48)).astype(np.uint8)
    noisy = np.clip(base[[1, 4, 1]] + draw.normal(0, 4, (3, 48, 48)), 0, 255).astype(np.uint8)
    films = dict(zip("abcdefghi", [*base, *noisy], strict=True))
    distance = duplicate_distance(base, same_patient([""] * 6))
    assert 0.1 < distance < 0.25
    again = np.clip(base[:1] + draw.normal(0, 30, (1, 48, 48)), 0, 255).astype(np.uint8)
    several = np.concatenate([base, again])
    assert duplicate_distance(several, same_patient(["a", *"bcdef", "a"])) == distance
    assert duplicate_distance(several, same_patient([""] * 7)) < 0.1
    found = []
    for chunk in (2, 100):
        monkeypatch.setattr("evaluation.synthetic.near_duplicates._CHUNK", chunk)
        found.append(near_duplicates(list(films), lambda ids: np.stack([films[id_] for id_ in ids]), distance,
                                     lambda *_: None))
    assert found[0] == found[1] == {"g": "b", "h": "e", "i": "b"}
