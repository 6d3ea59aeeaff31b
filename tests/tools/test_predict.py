"""Predictions on films of many kinds: what is measured, what is written, what is skipped."""

import csv
import json
import pathlib
import shutil

import cv2
import highdicom
import nibabel
import numpy as np
import pydicom
import pydicom.data
import pytest
from scipy import ndimage

from datasets.common.errors import UserError
from datasets.formats.raster import Film
from datasets.rules.label_cleaning import keep_largest
from evaluation.segmenter.dicom_seg import write_dicom_seg
from evaluation.segmenter.load import load_any_segmenter, load_segmenter
from evaluation.segmenter.predict_films import Predictor, find_films, measure, overlay
from tests.helpers import binaries, pictures
from tools.export.saved_model import export_segmenter

DICOM_FILES = pathlib.Path(pydicom.data.__file__).parent / "test_files"
NAMES = ("background", "left lung", "right lung", "heart")


def _thorax():
    codes = np.zeros((100, 200), np.uint8)
    codes[10:90, 110:180], codes[10:90, 20:90] = 1, 2
    codes[50:80, 80:150] = 3
    return codes


def _film(path: pathlib.Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_areas_and_the_cardiothoracic_ratio():
    codes = _thorax()
    found = measure(codes, NAMES, 0.5)
    assert found.unit == "mm2" and found.areas == tuple((codes == code).sum() / 4 for code in (1, 2, 3))
    assert measure(codes, NAMES, None).areas == tuple((codes == code).sum() for code in (1, 2, 3))
    assert found.cardiothoracic_ratio == pytest.approx(70 / 160)
    codes[0, 0], codes[5, 199] = 2, 3  # stray pixels
    assert measure(codes, NAMES, None).cardiothoracic_ratio == pytest.approx(70 / 160)
    assert measure(codes[:, ::-1], NAMES, None).cardiothoracic_ratio == pytest.approx(70 / 160)


def test_no_ratio_without_heart_and_lungs():
    codes = _thorax()
    assert measure(codes * (codes != 3), NAMES, None).cardiothoracic_ratio is None
    assert measure(codes * (codes != 1), NAMES, None).cardiothoracic_ratio is None
    assert measure(codes, ("background", "liver", "spleen", "heart"), None).cardiothoracic_ratio is None


def test_the_overlay_shows_film_and_organs():
    film, codes = Film(np.full((100, 200), 1000, np.uint16), 4000), _thorax()
    picture = overlay(film, codes, 4)
    assert picture.shape == (100, 200, 3) and picture.dtype == np.uint8
    assert (picture[0, 0] == 64).all()
    inside = [tuple(picture[place]) for place in ((30, 150), (30, 40), (65, 100))]
    assert len({*inside, (64, 64, 64)}) == 4
    assert overlay(Film(np.zeros((1, 1), np.uint8), 255), np.ones((1, 1), np.uint8), 2).shape == (1, 1, 3)


def test_files_folders_and_patterns_are_found_once(tmp_path):
    for name in ("a.png", "sub/a.tif", "sub/deep/b.IMG", "notes.txt", ".hidden.png", "c d.png"):
        _film(tmp_path / name, b"")
    _film(tmp_path / "sub" / "IM0001", bytes(128) + b"DICM")
    found, left_out = find_films([str(tmp_path), str(tmp_path / "a.png"), str(tmp_path / "*.png")])
    assert {name: path.name for name, path in found.items()} == {
        "a-png": "a.png", "c_d": "c d.png", "a-tif": "a.tif", "b": "b.IMG", "IM0001": "IM0001"}
    assert "2 files" in left_out and "1 .txt" in left_out and "1 hidden" in left_out
    assert "b" not in find_films([str(tmp_path)], [tmp_path / "sub" / "deep"])[0]
    same = [tmp_path / "one" / "x.png", tmp_path / "two" / "x.png", tmp_path / "x-png-2.png"]
    for path in same:
        _film(path, b"")
    assert len(find_films([str(path) for path in same])[0]) == 3
    for missing in ("none.png", "none/*.png", str(tmp_path / "sub" / "deep" / "*.png")):
        with pytest.raises(UserError, match="no film there"):
            find_films([missing])


@pytest.mark.parametrize("start", [0, 132])
def test_dicom_segmentations_hold_the_label_map(tmp_path, start):
    """With the preamble and without."""
    source = tmp_path / "film"
    source.write_bytes((DICOM_FILES / "CT_small.dcm").read_bytes()[start:])
    codes = np.zeros((128, 128), np.uint8)
    codes[20:60, 30:50], codes[70:100, 10:100] = 1, 5
    names = ("background", "left lung", "right lung", "heart", "left clavicle", "spleen")
    write_dicom_seg(source, codes, names, tmp_path / "seg.dcm")
    read = highdicom.seg.segread(tmp_path / "seg.dcm")
    header = pydicom.dcmread(DICOM_FILES / "CT_small.dcm")
    assert read.PatientID == header.PatientID and read.StudyInstanceUID == header.StudyInstanceUID
    assert read.SeriesInstanceUID != header.SeriesInstanceUID
    assert [read.get_segment_description(number).segment_label for number in range(1, 6)] == list(names[1:])
    clavicle = read.get_segment_description(4).SegmentedPropertyTypeCodeSequence[0]
    assert clavicle.CodeMeaning == "Clavicle"
    assert clavicle.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    masks = read.get_pixels_by_source_instance([header.SOPInstanceUID])[0]
    np.testing.assert_array_equal((masks * np.arange(1, 6)).sum(-1), codes)


def test_a_film_without_identity_gets_no_dicom_segmentation(tmp_path):
    (tmp_path / "film.dcm").write_bytes(pictures.dicom(np.zeros((8, 8), np.uint8)))
    with pytest.raises(UserError, match="has no SOPClassUID"):
        write_dicom_seg(tmp_path / "film.dcm", np.ones((8, 8), np.uint8), NAMES, tmp_path / "seg.dcm")
    assert [path.name for path in tmp_path.iterdir()] == ["film.dcm"]


@pytest.fixture(scope="module")
def python(finished_segmenter):
    return load_any_segmenter(finished_segmenter)


def _films_of_all_kinds(folder: pathlib.Path) -> dict[str, tuple[int, int]]:
    """Writes them; name -> height and width."""
    rng = np.random.default_rng(0)
    raw = np.repeat(np.repeat(rng.integers(0, 4096, (256, 256)), 8, 0), 8, 1).astype(">u2")
    _film(folder / "jsrt.IMG", raw.tobytes())
    _film(folder / "strip.png", pictures.png(rng.integers(0, 256, (40, 3000)).astype(np.uint8)))
    _film(folder / "onebit.png", pictures.pillow(rng.random((30, 50)) > 0.5, "PNG"))
    _film(folder / "photo.png", pictures.png(rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)))
    _film(folder / "deep.tif", pictures.tiff(rng.integers(0, 4096, (70, 60)).astype(np.uint16)))
    bright = rng.integers(0, 4096, (50, 60)).astype(np.uint16)
    _film(folder / "sub" / "inverse", pictures.dicom(
        bright, PhotometricInterpretation="MONOCHROME1", BitsStored=12, PixelSpacing=["0.2", "0.2"]))
    _film(folder / "camera.jpg", pictures.pillow(rng.integers(0, 256, (40, 56)).astype(np.uint8), "JPEG"))
    volume = nibabel.Nifti1Image(rng.integers(0, 256, (24, 20, 2)).astype(np.uint8), np.diag([-0.4, -0.4, 2, 1]))
    nibabel.save(volume, folder / "volume.nii.gz")
    shapes = {"camera": (40, 56), "volume_z000": (20, 24), "volume_z001": (20, 24)}
    shapes |= {"jsrt": (2048, 2048), "strip": (40, 3000), "onebit": (30, 50), "photo": (48, 64), "deep": (70, 60),
              "inverse": (50, 60)}
    for name in ("CT_small", "MR_small_RLE", "JPEG2000", "MR_small_jpeg_ls_lossless"):
        shutil.copy(DICOM_FILES / f"{name}.dcm", folder)
        header = pydicom.dcmread(DICOM_FILES / f"{name}.dcm", stop_before_pixels=True)
        shapes[name] = (header.Rows, header.Columns)
    return shapes


def test_the_command_on_all_kinds_of_films(exported_segmenter, tmp_path):
    shapes = _films_of_all_kinds(tmp_path / "films")
    _film(tmp_path / "films" / "broken.png", pictures.png(np.zeros((50, 50), np.uint8))[:60])
    shutil.copy(DICOM_FILES / "rtplan.dcm", tmp_path / "films")
    _film(tmp_path / "films" / "cut.nii.gz", (tmp_path / "films" / "volume.nii.gz").read_bytes()[:100])
    for junk in ("Thumbs.db", "README.txt", "@eaDir/a.png", "._a.png", "DICOMDIR"):
        _film(tmp_path / "films" / junk, b"junk")
    done = _predict(exported_segmenter, tmp_path / "films", "--out", tmp_path / "out")
    told = [line for line in done.err.splitlines() if line.startswith("problem:")]
    assert done.code == 1 and "Traceback" not in done.err
    assert len(told) == 4, done.err  # broken, cut, no film, and a film without a study
    assert any("broken.png" in line for line in told) and any("rtplan.dcm" in line for line in told)
    assert any("cut.nii.gz" in line for line in told) and "left out: 5 files" in done.out
    assert "films: 16 of 16" in done.out and "13 of 16 films segmented" in done.out
    rows = {row["name"]: row for row in csv.DictReader((tmp_path / "out" / "areas.csv").open())}
    assert set(rows) == set(shapes)
    for name, shape in shapes.items():
        codes = cv2.imread(str(tmp_path / "out" / "labels" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        picture = cv2.imread(str(tmp_path / "out" / "overlays" / f"{name}.png"))
        assert codes.shape == shape and picture.shape == (*shape, 3)
        row = rows[name]
        factor = float(row["spacing_mm"]) ** 2 if row["spacing_mm"] else 1
        areas = [float(row[f"{organ} area"]) for organ in NAMES[1:]]
        np.testing.assert_allclose(areas, [(codes == code).sum() * factor for code in (1, 2, 3)], rtol=1e-5)
        assert row["unit"] == ("mm2" if row["spacing_mm"] else "pixels")
    assert rows["jsrt"]["spacing_mm"] == "0.175" and rows["inverse"]["spacing_mm"] == "0.2"
    found = {name for name in ("CT_small", "MR_small_RLE", "JPEG2000", "MR_small_jpeg_ls_lossless")
             if cv2.imread(str(tmp_path / "out" / "labels" / f"{name}.png"), cv2.IMREAD_UNCHANGED).any()}
    assert {path.stem for path in (tmp_path / "out" / "segmentations").iterdir()} == found and found


def test_negatives_are_segmented_as_positives(python, tmp_path):
    film = np.random.default_rng(2).integers(0, 4096, (30, 40)).astype(np.uint16)
    film[0, :2] = 0, 4095
    _film(tmp_path / "positive.png", pictures.png(film))
    _film(tmp_path / "negative.png", pictures.png(4095 - film))
    codes = []
    for name, invert in (("positive", False), ("negative", True)):
        Predictor(python, str(tmp_path / name), invert=invert).predict(name, tmp_path / f"{name}.png")
        codes.append(cv2.imread(str(tmp_path / name / "labels" / f"{name}.png"), cv2.IMREAD_UNCHANGED))
    np.testing.assert_array_equal(*codes)


def test_an_export_and_its_run_predict_alike(python, exported_segmenter):
    film = Film(np.random.default_rng(1).integers(0, 256, (37, 64)).astype(np.uint8), 255)
    codes, probabilities = load_any_segmenter(str(exported_segmenter)).segment(film)
    np.testing.assert_array_equal(probabilities, python.segment(film)[1])
    assert codes.shape == (37, 64)


def test_a_run_and_its_export_keep_the_largest_piece_where_the_run_says_so(finished_segmenter, tmp_path):
    """Probabilities stay; each class is in one piece, in the film's geometry."""
    run = shutil.copytree(finished_segmenter, tmp_path / "run")
    facts = json.loads((run / "product.json").read_text())
    organs = [[name] for name in facts["class_names"][1:]]
    (run / "product.json").write_text(json.dumps({**facts, "largest": organs}))
    export_segmenter(load_segmenter(str(run)), str(tmp_path / "export"))
    film = Film(np.random.default_rng(1).integers(0, 256, (37, 64)).astype(np.uint8), 255)
    before, probabilities = load_any_segmenter(finished_segmenter).segment(film)
    assert any(ndimage.label(before == code)[1] > 1 for code in (1, 2, 3))
    for model in (run, tmp_path / "export"):
        codes, same = load_any_segmenter(str(model)).segment(film)
        np.testing.assert_array_equal(same, probabilities)
        assert all(ndimage.label(codes == code)[1] <= 1 for code in (1, 2, 3))
        np.testing.assert_array_equal(codes, keep_largest(before, [[1], [2], [3]]))
    (run / "product.json").write_text(json.dumps({**facts, "largest": [["spleen"]]}))
    with pytest.raises(UserError, match="spleen"):
        load_any_segmenter(str(run))


def test_a_mistake_is_told_in_one_line(tmp_path):
    mistakes = (([], "MODEL FILM..."), (["model", "missing.png"], "missing.png: "),
                (["missing", __file__], "missing: "))
    for arguments, told in mistakes:
        binaries.told(_predict(*arguments, f"--out={tmp_path / 'out'}"), told)
        assert not (tmp_path / "out").exists()


def _predict(*arguments):
    return binaries.run("tools.predict", *arguments)


def test_a_second_run_adds_its_films_to_the_table(python, tmp_path):
    for number, name in enumerate(("one", "two")):
        _film(tmp_path / f"{name}.png", pictures.png(np.random.default_rng(number).integers(
            0, 256, (30, 40)).astype(np.uint8)))
    written = []
    for name, earlier in (("two", []), ("one", ["two"]), ("two", ["one"])):
        predictor = Predictor(python, str(tmp_path / "out"))
        predictor.predict(name, tmp_path / f"{name}.png")
        predictor.write_table()
        assert [row["name"] for row in predictor.earlier()] == earlier and not predictor.replaced()
        written.append(list(csv.DictReader((tmp_path / "out" / "areas.csv").open())))
    assert [[row["name"] for row in rows] for rows in written] == [["two"], ["two", "one"], ["one", "two"]]
    assert written[2] == written[1][::-1] and written[1][0] == written[0][0]
    predictor = Predictor(python, str(tmp_path / "out"))
    predictor.predict("one", tmp_path / "two.png")
    assert predictor.replaced() == [str(tmp_path / "one.png")]
    table = (tmp_path / "out" / "areas.csv").read_text()
    (tmp_path / "out" / "areas.csv").write_text(table.replace(f"{NAMES[1]} area", "spleen area"))
    with pytest.raises(UserError, match="spleen area"):
        Predictor(python, str(tmp_path / "out"))
    assert "spleen area" in (tmp_path / "out" / "areas.csv").read_text()


def test_real_films_are_segmented_in_their_geometry(python, shared_dir, tmp_path):
    folder = shared_dir / "jsrt" / "All247images"
    predictor = Predictor(python, str(tmp_path))
    for name, path in find_films([str(folder / "JPCLN00[12].png")])[0].items():
        predictor.predict(name, path)
    predictor.write_table()
    assert [row["name"] for row in predictor.rows] == ["JPCLN001", "JPCLN002"]
    codes = cv2.imread(str(tmp_path / "labels" / "JPCLN002.png"), cv2.IMREAD_UNCHANGED)
    assert codes.shape == (1024, 1024) and codes.max() < 4
