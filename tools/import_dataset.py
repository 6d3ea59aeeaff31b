"""Makes a pair folder of your own images and label maps.

    python -m tools.import_dataset --images=DIR --labels=DIR --classes=background,liver,spleen \\
        --test_fraction=0.3 --size=128 --out=data/mine

Files belong together by name (a.jpg and a.png), in folders of folders too, or in one folder. Names that differ in
how they end or begin (a_0000.png and a_mask.png) are put together where there is only one way to do so;
--image_suffix=_0000 --label_suffix=_mask says it. A suffix may be a format (--image_suffix=.tif), or what stands
around a '*' (--label_suffix='mask_*').

Label files may be

    maps of class codes     --classes=background,liver: a class's code is its place; --remap=255:1 translates
                            other codes
    maps of colours         --colours=labelmap.txt: lines of name:r,g,b:: as CVAT writes them, or a table of
                            name,r,g,b or name,#rrggbb
    a mask for each organ   --masks=disc:_disc,cup:_cup: what follows the image's name, or liver:liver/ for
                            folders; --masks=liver,spleen for folders of those names, or files that end so. A '*'
                            is the image's name anywhere ('disc:disc_*'). Later ones are painted over earlier ones,
                            and overlaps are kept
    numbers of instances    --instances --classes=background,nucleus: every number but 0 is a piece of that class;
                            touching pieces are parted by a pixel of background. A mask file for each piece will
                            do, in a folder that bears the image's name

--ignore=11 takes code 11 (with --colours a class's name) for unknown: no loss and no score counts it, and
generators see the nearest class there. --unions=disc:rim+cup scores rim and cup together as disc.

Of volumes (NIfTI, NRRD) every slice is a pair; --slices=labelled leaves those without a label out, --axis=x cuts
them across. Slices of one volume stay on one side of the split.

Which pairs test: --test_fraction, --test_ids=FILE, --train_ids=FILE, or --train_count=20 (the first 20 by name
train, the rest tests). --group_by keeps a patient on one side: a pattern of the image's name ('^[^_]+'), a table
(patients.csv:patient) or DICOM's PatientID. The manifest then keeps which pairs are of one patient, by numbers in
place of the names that were found, for the check for copies (docs/privacy.md); for slices of volumes too, as with
--group_by=.+ for the volume. A file of names has one a line, with or without folder and suffix.

--nnunet=nnUNet_raw/Dataset501_Mine reads nnU-Net's data sets in place of all this: classes, regions, the label
`ignore`, channels and splits are those of dataset.json. Pairs of imagesTs test; --fold=0 tests on that fold of
splits_final.json instead and leaves out what is not in it, imagesTs too; the flags above draw anew. Patients that
an export knew are kept. One channel is read, or three as colour; of others choose one, --nnunet_channel=FLAIR.

Images are PNG, JPEG, TIFF, BMP, GIF, WebP, DICOM, NIfTI, NRRD or JSRT's IMG, label files all of these but JPEG,
lossy WebP and IMG. --invert makes positives of negatives, --invert_ids=FILE of those that it names.

Pictures keep their aspect ratio and are padded to a square with black ground of the first class; each pixel takes
the class that covers most of it. A table at the end tells in how many films each class is, and its share of the
pixels before and after.

If any image is in colour, that is, has channels that differ, all are written in colour and all networks work on
three channels; a grey picture stored as RGB is grey. --channel=grey takes the luminance instead, and red, green or
blue that channel alone (vessels of the eye show best in green). `tools.predict` does the same with new films.
"""

import dataclasses
import pathlib
import sys

if not __package__:  # started by its path, from any folder
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from absl import app, flags

from datasets.common.errors import UserError, report_user_errors
from datasets.common.output_folders import PAIRS, check_output
from datasets.formats.parts import AXES, SLICES

_IMAGES = flags.DEFINE_string("images", None, "folder of the images, perhaps in folders")
_NNUNET = flags.DEFINE_string("nnunet", None, "or a data set of nnU-Net, DatasetNNN_NAME")
_NNUNET_CHANNEL = flags.DEFINE_string("nnunet_channel", None, "with --nnunet: the only channel that is taken, by "
                                      "name or number")
_FOLD = flags.DEFINE_integer("fold", None, "with --nnunet: the fold whose validation cases test", lower_bound=0)
_LABELS = flags.DEFINE_string("labels", None, "folder of the label files (default: that of the images)")
_IMAGE_SUFFIX = flags.DEFINE_string("image_suffix", None, "what ends the names of images, e.g. _0000")
_LABEL_SUFFIX = flags.DEFINE_string("label_suffix", None, "what ends the names of label maps, e.g. _mask")
_OUT = flags.DEFINE_string("out", None, "pair folder to write", required=True)
_SIZE = flags.DEFINE_integer("size", None, "side of the pairs in pixels", required=True, lower_bound=8,
                             upper_bound=8192)
_AXIS = flags.DEFINE_enum("axis", "z", AXES, "of volumes: across the slices; z from feet to head")
_SLICES = flags.DEFINE_enum("slices", "all", SLICES, "of volumes: all, the labelled ones, or the middle one")
_CLASSES = flags.DEFINE_list("classes", None, "class names in order of codes, background first")
_CLASSES_JSON = flags.DEFINE_string("classes_json", None, 'or a file: {"names": [...], "scored": [...], '
                                                          '"fold_back": {...}, "unions": {...}}')
_COLOURS = flags.DEFINE_string("colours", None, "or a table of the colours in the label maps")
_MASKS = flags.DEFINE_list("masks", None, "or organs with a mask file each, in order of painting: ORGAN:PATTERN")
_INSTANCES = flags.DEFINE_bool("instances", False, "label maps number the pieces of the second of two --classes")
_IGNORE = flags.DEFINE_list("ignore", [], "codes (with --colours: classes) of which no class is known")
_SCORED = flags.DEFINE_list("scored", [], "the classes that tables score (default: all but the background)")
_UNIONS = flags.DEFINE_list("unions", [], "classes that are scored together, e.g. disc:rim+cup")
_REMAP = flags.DEFINE_list("remap", [], "codes found to class codes, e.g. 0:0,255:1; others stay")
_TEST_FRACTION = flags.DEFINE_float("test_fraction", None, "share of the pairs to test on, drawn by --seed",
                                    lower_bound=0.0, upper_bound=1.0)
flags.register_validator("test_fraction", lambda share: share is None or share >= 0.0, "expected a number")
_TEST_IDS = flags.DEFINE_string("test_ids", None, "or a file with the names of the test pairs, one a line")
_TRAIN_IDS = flags.DEFINE_string("train_ids", None, "or a file with those of the training pairs")
_TRAIN_COUNT = flags.DEFINE_integer("train_count", None, "or how many train, the first by name", lower_bound=1)
_GROUP_BY = flags.DEFINE_string("group_by", None, "what keeps pairs on one side: a regular expression, "
                                "TABLE.csv:COLUMN or a DICOM element")
_SEED = flags.DEFINE_integer("seed", 0, "of the draw of test pairs", lower_bound=0)
_NAME = flags.DEFINE_string("name", None, "the data set's name in tables (default: the name of --out)")
_MAX_VALUE = flags.DEFINE_integer("max_value", None, "grey value shown as white in images of 16 bits that do "
                                                     "not say (default: the least 2^n - 1 that none exceeds)",
                                  lower_bound=1, upper_bound=65535)
_BITS = flags.DEFINE_enum("bits", "auto", ["auto", "8", "16"], "bits of the images written; auto: 16 if any has "
                                                               "more than 8")
_CHANNEL = flags.DEFINE_enum("channel", "auto", ["auto", "grey", "red", "green", "blue"], "what is taken of "
                             "colour images; auto: all three channels if any image has colour")
_CONTRAST = flags.DEFINE_enum("contrast", "none", ["none", "stretch"], "stretch: each film's 0.5th to 99.5th "
                              "percentile to the whole grey scale; none: films as they are")
_INVERT = flags.DEFINE_bool("invert", False, "the images are negatives, with dark bone: make them positives")
_INVERT_IDS = flags.DEFINE_string("invert_ids", None, "or a file with the names of those that are, one a line")
_MOST_LINES = 20  # about single files


def main(argv) -> None:
    from datasets.common.progress import show_progress
    from datasets.pair_store import describe_ids
    from datasets.sources import own_files, own_folders, own_splits

    lists = [flag.value for flag in (_CLASSES_JSON, _COLOURS, _TEST_IDS, _TRAIN_IDS, _INVERT_IDS)]
    check_output(_OUT.value, PAIRS, [_IMAGES.value, _LABELS.value, _NNUNET.value, *lists])
    dataset = _nnunet()
    labels, matched = (dataset.reader, dataset.matched) if dataset else _labels(pathlib.Path(_IMAGES.value))
    about = dataset.about if dataset else None  # what an export kept
    sources = own_files.split_volumes(matched.sources, _AXIS.value, _SLICES.value)
    for line in [*matched.said, *(f"left out: {path} has no partner" for path in matched.alone[:_MOST_LINES])]:
        print(line)
    if len(matched.alone) > _MOST_LINES:
        print(f"left out: {len(matched.alone) - _MOST_LINES} more files without partner")
    groups = own_splits.group_pairs(_GROUP_BY.value, sources) if _GROUP_BY.value else None
    patients = own_splits.name_patients(groups) if groups else {}
    if dataset and dataset.patients and not groups:
        patients = {source.id: dataset.patients.get(source.case, "") for source in sources}
        groups = {id_: patient or f"film {id_}" for id_, patient in patients.items()}
    test, validation = _test_ids(sources, dataset, groups)
    negatives = {source.id for source in sources} if _INVERT.value else set()
    if _INVERT_IDS.value:
        negatives |= own_splits.read_ids(pathlib.Path(_INVERT_IDS.value), sources)
    found = own_folders.survey(sources, labels, _SIZE.value, show_progress)
    white = _MAX_VALUE.value or (about.max_value if about else found.white)
    description = _described(found, labels.classes, about)
    films = own_folders.PairFilms(white, _CONTRAST.value == "stretch", negatives)
    report = own_folders.import_pairs(sources, _OUT.value, description, test, labels, films, show_progress,
                                      validation, patients)
    said = _about_films(found, description.channel if about else _CHANNEL.value, white, len(negatives),
                        labels.classes)
    for line in [*said, *report.lines(found.shares, _SIZE.value)]:
        print(line)
    held = f", {len(validation)} validation" if validation else ""
    print(f"{len(sources)} pairs at {_SIZE.value} x {_SIZE.value} pixels in {_OUT.value}: "
          f"{len(sources) - len(test) - len(validation)} train{held}, {len(test)} test; "
          f"classes: {describe_ids(labels.classes.names)}")


def _described(found, classes, about):
    """The new folder's description, by what was `found` in the files and what an export kept (`about` or None)."""
    from datasets.pair_store import Description

    # 16 bits if any image has more than 8
    max_value = 65535 if _BITS.value == "16" or (_BITS.value == "auto" and found.deep) else 255
    name = _NAME.value or (about.name if about else pathlib.Path(_OUT.value).resolve().name)
    spacing, channel = found.spacing_mm, found.channel(_CHANNEL.value)
    if about:
        max_value = about.max_value if _BITS.value == "auto" else max_value
        channel = about.channel if _CHANNEL.value == "auto" else channel
        spacing = spacing or (about.spacing_mm and about.spacing_mm * max(about.size) / _SIZE.value)
    try:
        return Description(name, (_SIZE.value, _SIZE.value), classes, max_value, spacing, channel)
    except ValueError as error:
        raise UserError(f"--name or --classes: {error}") from None


def _about_films(found, channel: str, white: int | None, negatives: int, classes) -> list[str]:
    """Lines on what was made of the films, and of masks that overlap."""
    from datasets.pair_store import MAX_MASKS

    line = found.about_channels(channel)
    lines = [*([line] if line else []), *found.about_looks()]
    if negatives:
        lines.append(f"{negatives} negatives turned to positives; for new ones there is tools.predict --invert")
    if found.white:
        lines.append(f"white: {white} in 16-bit images (--max_value chooses another)")
    if len(classes.organs) > MAX_MASKS and _MASKS.value:
        lines.append(f"overlaps: not kept, as there are more than {MAX_MASKS} organs; later ones cover earlier "
                     "ones")
    return lines


def _nnunet():
    """The data set of --nnunet, None without. Raises UserError unless images come from one place."""
    if bool(_IMAGES.value) == bool(_NNUNET.value):  # both or neither
        raise UserError("give either --images=DIR or --nnunet=DatasetNNN_NAME")
    if not _NNUNET.value:
        for flag in (_FOLD, _NNUNET_CHANNEL):
            if flag.value is not None:
                raise UserError(f"--{flag.name}={flag.value}: is for --nnunet, found --images={_IMAGES.value}; "
                                "leave it out")
        return None
    for flag in (_LABELS, _IMAGE_SUFFIX, _LABEL_SUFFIX, _CLASSES, _CLASSES_JSON, _COLOURS, _MASKS, _INSTANCES,
                 _IGNORE, _REMAP):
        if flag.value:
            raise UserError(f"--{flag.name} does not go with --nnunet, whose dataset.json says it; leave it out")
    from datasets.sources.nnunet import read_nnunet

    dataset = read_nnunet(pathlib.Path(_NNUNET.value), _FOLD.value, _NNUNET_CHANNEL.value)
    reader = dataclasses.replace(dataset.reader, classes=_with_scores(dataset.reader.classes))
    return dataclasses.replace(dataset, reader=reader)


def _labels(images: pathlib.Path):
    """What the label files mean, and the pairs of files that were found."""
    from datasets.sources import own_colours, own_files, own_labels, own_options

    given = [name for name, flag in (("classes", _CLASSES), ("classes_json", _CLASSES_JSON),
                                     ("colours", _COLOURS), ("masks", _MASKS)) if flag.value is not None]
    if len(given) != 1:
        raise UserError(f"found {' and '.join(f'--{name}' for name in given) or 'no classes'}; give one of "
                        "--classes=background,liver, --classes_json=FILE, --colours=FILE and --masks=liver,spleen")
    for name, flag, kinds in (("remap", _REMAP, ("classes", "classes_json")),
                              ("instances", _INSTANCES, ("classes", "classes_json")),
                              ("ignore", _IGNORE, ("classes", "classes_json", "colours"))):
        if flag.value and given[0] not in kinds:
            raise UserError(f"--{name} does not go with --{given[0]}; leave it out")
    folder, masks = pathlib.Path(_LABELS.value or images), None
    if _MASKS.value is not None:
        masks = own_files.mask_patterns(_MASKS.value, folder)
        reader = own_labels.MaskLabels(_table("masks", ("background", *masks)))
    elif _COLOURS.value is not None:
        colours = own_colours.read_colours(pathlib.Path(_COLOURS.value), _IGNORE.value)
        reader = own_labels.ColourLabels(dataclasses.replace(colours, classes=_with_scores(colours.classes)))
    elif _INSTANCES.value:
        ignore = own_options.parse_ignore(_IGNORE.value, 2**31 - 1)
        reader = own_labels.InstanceLabels(_classes(), ignore)
        if reader.classes.num_classes != 2 or _REMAP.value:
            raise UserError(f"--instances: found {reader.classes.num_classes} classes"
                            f"{' and --remap' if _REMAP.value else ''}, expected two classes and no more, e.g. "
                            "--classes=background,nucleus")
    else:
        ignore = own_options.parse_ignore(_IGNORE.value, 255)
        classes = _classes()
        reader = own_labels.CodeLabels(classes, own_options.parse_remap(_REMAP.value, classes.names), ignore)
    return reader, own_files.match_files(images, folder, _IMAGE_SUFFIX.value, _LABEL_SUFFIX.value, masks,
                                         _INSTANCES.value)


def _classes():
    """The class table of --classes or --classes_json."""
    from datasets.class_table import ClassTable
    from datasets.common import atomic_files

    if _CLASSES.value is not None:
        return _table("classes", tuple(name.strip() for name in _CLASSES.value))
    try:
        return _with_scores(ClassTable.from_json(atomic_files.read_json(_CLASSES_JSON.value)))
    except ValueError as error:
        raise UserError(f"--classes_json: {error}") from None


def _table(flag: str, names: tuple[str, ...]):
    from datasets.class_table import ClassTable

    try:
        table = ClassTable(names)
    except ValueError as error:
        raise UserError(f"--{flag}: {error}") from None
    return _with_scores(table)


def _with_scores(table):
    """The table with --scored, --unions and --ignore."""
    from datasets.sources.own_options import parse_unions

    changed = {"scored": tuple(_SCORED.value)} if _SCORED.value else {}
    changed |= {"unions": parse_unions(_UNIONS.value)} if _UNIONS.value else {}
    if _UNIONS.value and not _SCORED.value and table.scored == tuple(table.regions):
        changed["scored"] = ()  # the default, with the unions among them
    changed |= {"ignored": True} if _IGNORE.value else {}
    try:
        return dataclasses.replace(table, **changed)
    except ValueError as error:
        raise UserError(f"--scored or --unions: {error}") from None


def _test_ids(sources, dataset, groups) -> tuple[set[str], set[str]]:
    """The pairs to test on, and those that a data set of nnU-Net keeps to validate.

    `groups`: id -> patient, or what else --group_by gives; None without.
    """
    from datasets.pair_store import describe_ids
    from datasets.sources import own_splits

    ids = [source.id for source in sources]
    given = [name for name, flag in (("test_fraction", _TEST_FRACTION), ("test_ids", _TEST_IDS),
                                     ("train_ids", _TRAIN_IDS), ("train_count", _TRAIN_COUNT))
             if flag.value is not None]
    given += ["fold"] if _FOLD.value is not None else []
    theirs = dataset is not None and bool(dataset.test) and given in ([], ["fold"])  # the data set's own split
    if len(given) != 1 and not theirs:
        raise UserError(f"found {' and '.join(f'--{name}' for name in given) or 'no split'}; give one of "
                        "--test_fraction=0.3 (0 for no test pairs), --test_ids=FILE, --train_ids=FILE and "
                        f"--train_count=20{', or --fold=0' if dataset else ''}")
    groups = groups or own_splits.volumes(sources)
    if theirs:
        test = {source.id for source in sources if source.case in dataset.test}
    elif _TEST_IDS.value is not None:
        test = own_splits.read_ids(pathlib.Path(_TEST_IDS.value), sources)
    elif _TRAIN_IDS.value is not None:
        test = set(ids) - own_splits.read_ids(pathlib.Path(_TRAIN_IDS.value), sources)
    elif _TRAIN_COUNT.value is not None:
        test = own_splits.rest_by_name(ids, _TRAIN_COUNT.value, groups)
    else:
        test = own_splits.choose_test(ids, _TEST_FRACTION.value, _SEED.value, groups)
    known = own_splits.patients(sources) if groups is None else groups
    both = own_splits.on_both_sides(known, ids, test)
    if both:
        print(f"warning: {len(both)} of {len(set(known.values()))} groups train and test ({describe_ids(both)}): "
              "the test flatters; --group_by with --test_fraction keeps them apart")
    elif groups is not None:
        print(f"groups: {len(set(groups.values()))}, of which {len({groups[id_] for id_ in test})} test")
    validation = {source.id for source in sources if dataset and source.case in dataset.validation} - test
    asked = _TEST_FRACTION.value not in (0.0, 1.0)
    for side, left in (("trains", len(ids) - len(test | validation)), ("tests", len(test))):
        if asked and not left:
            print(f"warning: no pair {side}, of {len(ids)}; see the options of the split")
    return test, validation


if __name__ == "__main__":
    app.run(report_user_errors(main))
