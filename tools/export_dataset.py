"""Writes pair folders in the format of another tool: nnU-Net, COCO, or NIfTI slices.

    python -m tools.export_dataset --format=nnunet --data=data/mine --out=nnUNet_raw/Dataset501_Mine
    python -m tools.export_dataset --format=nnunet --data=data/mine,RUN/synthetic-3/gan --out=nnUNet_raw
    python -m tools.export_dataset --format=coco --data=RUN/synthetic-3/gan --out=coco

--data names real or synthetic pair folders, or both, of the same classes. nnunet: imagesTr, labelsTr, imagesTs,
labelsTs, dataset.json and splits_final.json, in which real pairs alone validate, a film's augmented copies on its
side; copy that file to nnUNet_preprocessed/DatasetNNN_NAME after nnUNetv2_plan_and_preprocess.
`tools.import_dataset --nnunet=DIR` reads it back, pictures and label maps byte for byte. coco: a folder of 8-bit
images and an instances_SPLIT.json for each split, a piece of a class being an instance, with exact masks. nifti:
images/ and labels/ as slices of the store's spacing, and pairs.csv with the splits.
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import EXCHANGE, check_output
from evaluation.results.columns import METHODS

_FORMAT = flags.DEFINE_enum("format", None, ["nnunet", "coco", "nifti"], "what is written", required=True)
_DATA = flags.DEFINE_list("data", None, "pair folders, real, synthetic or both", required=True)
_OUT = flags.DEFINE_string("out", None, "new folder; nnunet: DatasetNNN_NAME, or where to make it", required=True)
_DATASET_ID = flags.DEFINE_integer("dataset_id", 501, "NNN of nnU-Net's folder where --out does not say it",
                                   lower_bound=1, upper_bound=999)


def main(argv) -> None:
    from datasets.common import atomic_files
    from datasets.common.progress import show_progress
    from datasets.exports.coco import write_coco
    from datasets.exports.joined import about, check_pairs, join_stores
    from datasets.exports.nifti import write_nifti
    from datasets.pair_store import PairStore
    from datasets.sources.nnunet import check_nnunet, dataset_folder, write_nnunet

    out = pathlib.Path(_OUT.value)
    if _FORMAT.value != "nnunet":
        check_output(_OUT.value, EXCHANGE, _DATA.value)
    stores = [PairStore(path) for path in _DATA.value]
    pairs = join_stores(stores, {method.source for method in METHODS})
    if _FORMAT.value == "nnunet":
        check_nnunet(pairs)
        out = dataset_folder(out, _DATASET_ID.value, stores[0].description.name)
        check_output(out, EXCHANGE, _DATA.value)  # --out may hold other data sets
    if out.is_dir() and any(out.iterdir()):
        raise UserError(f"{out}: is not empty; remove it, or choose another --out")
    check_pairs(pairs, show_progress)
    write = {"nnunet": write_nnunet, "coco": write_coco, "nifti": write_nifti}[_FORMAT.value]
    with atomic_files.replacing_folder(out) as folder:
        atomic_files.make_folder(folder)
        said = write(pairs, folder, show_progress)
    print("\n".join([*said, f"{about(pairs)} in {out}"]))


if __name__ == "__main__":
    app.run(report_user_errors(main))
