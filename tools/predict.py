"""Segments films with a trained model: label maps, overlays, areas, and DICOM segmentations of DICOM films.

    python -m tools.predict MODEL FILM... --out=predictions

MODEL is an export (of tools.export_model), a run folder of train_smanet, or its .keras file. Films are PNG, JPEG,
TIFF, BMP, GIF, WebP, DICOM, NIfTI, NRRD or JSRT .IMG files of any height and width, folders of them (searched
through; what is no film there is left out with a count), and patterns. Of a NIfTI or NRRD volume each slice along
--axis is a film, NAME_z012. --invert is for negatives. A file that cannot be read is told in one line and left
out; the exit code is then 1, and the others are done. Of colour films the model sees what it was trained on: all
channels, the luminance, or one channel (`--channel` of tools.import_dataset); to a model of colour a grey film is
one of three equal channels. Where the model says so (--keep_largest of train_smanet, --recipe=best), the largest
piece alone is kept of classes that come in one.

    OUT/areas.csv           a row for each film: areas (mm2 where the spacing is known), cardiothoracic ratio
    OUT/labels/NAME.png     class codes in the film's geometry
    OUT/overlays/NAME.png   the film with its organs tinted
    OUT/segmentations/NAME.dcm
"""

import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import report_user_errors
from datasets.common.output_folders import RESULTS, check_output
from datasets.formats.parts import AXES

_OUT = flags.DEFINE_string("out", None, "folder to write", required=True)
_DATA = flags.DEFINE_string("data", None, "pair folder the model was trained on, if it does not say its classes")
_DICOM_SEG = flags.DEFINE_bool("dicom_seg", True, "write DICOM segmentations of DICOM films")
_AXIS = flags.DEFINE_enum("axis", "z", AXES, "of volumes: across the slices; z from feet to head")
_INVERT = flags.DEFINE_bool("invert", False, "the films are negatives, with dark bone")

flags.FLAGS.set_gnu_getopt(True)  # options may follow the films


def main(argv) -> int:
    from datasets.common.errors import UserError
    from datasets.common.progress import show_progress
    from evaluation.segmenter.predict_films import RESULTS as MADE
    from evaluation.segmenter.predict_films import Predictor, film_slices, find_films

    if len(argv) < 3:
        raise UserError("name a model and films: python -m tools.predict MODEL FILM... --out=DIR")
    check_output(_OUT.value, RESULTS, [*argv[1:], _DATA.value])
    # Folders of results are not searched, so that a second run does not segment its own pictures.
    films, left_out = find_films(argv[2:], [pathlib.Path(_OUT.value, kind) for kind in MADE])
    if left_out:
        print(left_out)
    slices, unread = film_slices(films, _AXIS.value)

    from evaluation.segmenter.load import load_any_segmenter  # starts TensorFlow, after the films were found

    segmenter = load_any_segmenter(argv[1], _DATA.value)
    predictor = Predictor(segmenter, _OUT.value, _DICOM_SEG.value, _INVERT.value)
    problems, count = len(unread), len(slices) + len(unread)
    for line in unread:
        _tell(line)
    try:
        for done, (name, path, part) in enumerate(slices, len(unread)):
            show_progress("films", done, count)
            try:
                predictor.predict(name, path, part)
            except UserError as error:
                problems += 1
                _tell(str(error))
        show_progress("films", count, count)
    # What was segmented has its row, whatever stops the others.
    finally:
        predictor.write_table()
    unwritten = problems - (count - len(predictor.rows))  # films with a row and a problem
    print(f"{len(predictor.rows)} of {count} films segmented in {_OUT.value}"
          + (f", {unwritten} of them without DICOM segmentation" if unwritten else "")
          + ("; problems are listed above" if problems else ""))
    if earlier := len(predictor.earlier()):
        print(f"{earlier} films of earlier runs stay there, as the segmenter of those runs made them")
    if replaced := predictor.replaced():
        print(f"{len(replaced)} took the place of earlier films of the same name from other files, such as "
              f"{replaced[0]}; to keep both, give each folder of films an --out of its own")
    if predictor.reduced:
        print(f"{predictor.reduced} films are in colour: the model saw their {segmenter.channel}, as in training")
    if predictor.spread:
        print(f"{predictor.spread} films are grey: the model, trained on colour, saw three equal channels")
    return int(problems > 0)


def _tell(problem: str) -> None:
    print(f"problem: {' '.join(problem.split())}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    app.run(report_user_errors(main, arguments=True))
