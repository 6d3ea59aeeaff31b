"""Draws the attention maps of a trained SMANet over films of a pair folder.

    python -m tools.show_attention --model=RUN --data=STORE --out=attention

Writes OUT/ID.png: the film, then the film under the attention of each scale (1, 2, 3, 6 bins), from the whole
picture at the store's size; and OUT/attention.json: model, data and films.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import RESULTS, check_output

_MODEL = flags.DEFINE_string("model", None, "run folder of train_smanet, or a .keras file", required=True)
_DATA = flags.DEFINE_string("data", None, "pair folder of the films", required=True)
_OUT = flags.DEFINE_string("out", None, "folder of the pictures", required=True)
_SPLIT = flags.DEFINE_enum("split", "test", ["train", "validation", "test"], "split the films are taken from")
_COUNT = flags.DEFINE_integer("count", 8, "how many films", lower_bound=1)


def main(argv) -> None:
    check_output(_OUT.value, RESULTS, [_MODEL.value, _DATA.value])
    from datasets import grey
    from datasets.common import atomic_files
    from datasets.pair_store import PairStore, write_png
    from evaluation.segmenter.attention import draw_attention
    from evaluation.segmenter.load import check_fit, read_segmenter

    network, facts = read_segmenter(_MODEL.value)
    if getattr(network, "attention", None) != "multiscale":  # a U-Net has none
        raise UserError(f"{_MODEL.value}: has no attention maps; expected a run of train_smanet "
                        "--attention=multiscale")
    store = PairStore(_DATA.value)
    check_fit(_MODEL.value, network, facts, store)
    ids = store.ids(_SPLIT.value)[:_COUNT.value]
    if not ids:
        raise UserError(f"{_DATA.value}: found no {_SPLIT.value} pairs; choose another --split")
    out = atomic_files.make_folder(pathlib.Path(_OUT.value))
    atomic_files.write_json(out / "attention.json", {"model": _MODEL.value, "data": _DATA.value, "films": ids})
    for id_ in ids:
        film = store.image(id_)
        maps = network.attention_maps(grey.to_network(film[None]))  # scale -> [1, h, w, 1]
        sheet = draw_attention(film, {scale: weights[0, ..., 0].numpy() for scale, weights in maps.items()})
        write_png(out / f"{id_}.png", sheet)
        print(out / f"{id_}.png")


if __name__ == "__main__":
    app.run(report_user_errors(main))
