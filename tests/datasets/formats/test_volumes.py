"""NIfTI and NRRD: slices lie as the header says, whatever the order of storage, and keep values and spacing."""

import gzip
import tracemalloc

import nibabel
import nrrd
import numpy as np
import pytest

from datasets.common.errors import UserError
from datasets.formats.parts import Part
from datasets.formats.read import pair_parts, pictures_in, read_film, read_label_samples, read_mask
from datasets.formats.volumes import read_volume
from tests.helpers import pictures

RNG = np.random.default_rng(0)
LPS = RNG.integers(0, 256, (7, 9, 5)).astype(np.uint8)  # x to the left, y to the back, z to the head
CODES = RNG.integers(0, 4, LPS.shape).astype(np.uint8)
CODES[..., 0] = CODES[..., 4] = 0
SIZES = (0.5, 0.5, 3.0)
ORDERS = ["RAS", "LPS", "LAS", "PSR", "SAL", "IRP"]


def _stored(lps, order):
    """[x, y, z] of LPS in another order of storage, and the matrix to millimetres of RAS."""
    turn = nibabel.orientations.ornt_transform(nibabel.orientations.axcodes2ornt("LPS"),
                                               nibabel.orientations.axcodes2ornt(order))
    affine = np.diag([-SIZES[0], -SIZES[1], SIZES[2], 1.0]) @ nibabel.orientations.inv_ornt_aff(turn, lps.shape)
    return nibabel.orientations.apply_orientation(lps, turn), affine


def _nifti(path, values, affine, kind=nibabel.Nifti1Image):
    nibabel.save(kind(values, affine), path)
    return path


def _nrrd(path, values, affine=None, **header):
    if affine is not None:  # the space LPS
        header |= {"space": "left-posterior-superior", "space origin": [1.0, 2.0, 3.0],
                   "space directions": (np.diag([-1, -1, 1]) @ affine[:3, :3]).T}
    nrrd.write(str(path), values, header, **({"detached_header": True} if path.suffix == ".nhdr" else {}))
    return path


def _slices(path, read=read_film, axis="z"):
    return [read(path, part) for part in pictures_in(path, axis)]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.nhdr"])
def test_slices_lie_as_the_header_says(tmp_path, name, order):
    values, affine = _stored(LPS, order)
    path = (_nifti if ".nii" in name else _nrrd)(tmp_path / name, values, affine)
    films = _slices(path)
    assert len(films) == 5 and [film.spacing_mm for film in films] == [pytest.approx(0.5)] * 5
    for index, film in enumerate(films):
        np.testing.assert_array_equal(film.pixels, LPS[:, :, index].T)
        assert film.max_value == 255 and film.exact
    for index, film in enumerate(_slices(path, axis="y")):  # the head up; 0.5 by 3 mm is not square
        np.testing.assert_array_equal(film.pixels, LPS[:, index, ::-1].T)
        assert film.spacing_mm is None
    np.testing.assert_array_equal(_slices(path, axis="x")[2].pixels, LPS[2, :, ::-1].T)


def test_image_and_label_map_of_other_orders_agree(tmp_path):
    image = _nifti(tmp_path / "image.nii.gz", *_stored(LPS, "RAS"))
    label = _nrrd(tmp_path / "label.nrrd", *_stored(CODES, "SPL"))
    parts = pair_parts(image, label)
    assert [part.suffix for part in parts] == ["_z000", "_z001", "_z002", "_z003", "_z004"]
    for part in parts:
        np.testing.assert_array_equal(read_mask(label, part, image), CODES[:, :, part.index].T)
        np.testing.assert_array_equal(read_film(image, part).pixels, LPS[:, :, part.index].T)
    assert len(pair_parts(image, label, axis="x")) == 7


@pytest.mark.parametrize("lost", ["image", "label"])
def test_a_header_that_does_not_say_follows_its_partner(tmp_path, lost):
    """A label map saved with the identity as matrix is in the image's order of voxels, which are not of 1 mm."""
    (values, affine), (codes, _) = _stored(LPS, "SAR"), _stored(CODES, "SAR")
    image = _nifti(tmp_path / "image.nii", values, np.eye(4) if lost == "image" else affine)
    label = _nifti(tmp_path / "label.nii", codes, np.eye(4) if lost == "label" else affine)
    plain = lost == "image"
    for part in pair_parts(image, label):
        film, mask = read_film(image, part).pixels, read_mask(label, part, image)
        expected = (codes[::-1, ::-1, part.index].T, values[::-1, ::-1, part.index].T) if plain else (
            CODES[:, :, part.index].T, LPS[:, :, part.index].T)
        np.testing.assert_array_equal(mask, expected[0])
        np.testing.assert_array_equal(film, expected[1])


def test_the_identity_is_believed_beside_voxels_of_1_mm(tmp_path):
    """The label map is stored mirrored, and says so."""
    image = _nifti(tmp_path / "image.nii", LPS, np.eye(4))
    label = _nifti(tmp_path / "label.nii", CODES[::-1], np.diag([-1.0, 1.0, 1.0, 1.0]))
    for part in pair_parts(image, label):
        np.testing.assert_array_equal(read_mask(label, part, image), CODES[::-1, ::-1, part.index].T)
        np.testing.assert_array_equal(read_film(image, part).pixels, LPS[::-1, ::-1, part.index].T)


@pytest.mark.parametrize("size", [(11, 6), (9, 9)])
def test_a_label_volume_beside_a_picture(tmp_path, size):
    """As ITK's programs save it, and as a script does, rows first or, where only that fits, columns first."""
    codes = RNG.integers(0, 4, size).astype(np.uint8)
    (tmp_path / "a.png").write_bytes(pictures.png(codes))
    ways = [(codes.T, np.diag([-0.3, -0.3, 1, 1])), (codes.T[..., None], np.diag([-1, -1, 1, 1])),
            (codes, np.eye(4)), (codes[..., None], np.eye(4))]
    ways += [(codes.T, np.eye(4))] if size[0] != size[1] else []
    for number, (stored, affine) in enumerate(ways):
        path = _nifti(tmp_path / f"{number}.nii.gz", stored, affine)
        np.testing.assert_array_equal(read_mask(path, None, tmp_path / "a.png"), codes)


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32, np.float64, np.uint16, ">i2"])
def test_one_slice_is_a_picture_of_its_values(tmp_path, kind):
    """As 2-D NIfTI are made of PNGs: with or without a third axis, in ITK's axes."""
    film = RNG.integers(0, 1000, (11, 6)).astype(kind)
    for number, stored in enumerate((film.T, film.T[..., None], film.T[..., None, None])):
        path = _nifti(tmp_path / f"{number}.nii.gz", stored, np.diag([-0.3, -0.3, 1, 1]))
        assert pictures_in(path) == [None]
        found = read_film(path)
        np.testing.assert_array_equal(found.pixels, film)
        assert found.pixels.dtype == np.uint16 and not found.exact and found.spacing_mm == pytest.approx(0.3)
        np.testing.assert_array_equal(read_mask(_nifti(path, stored % 7, np.diag([-1, -1, 1, 1]))), film % 7)


def test_a_picture_without_a_place_is_in_order_of_storage(tmp_path):
    film = RNG.integers(0, 256, (11, 6)).astype(np.uint8)
    for path in (_nifti(tmp_path / "a.nii", film.T, None), _nrrd(tmp_path / "a.nrrd", film.T)):
        found = read_film(path)
        np.testing.assert_array_equal(found.pixels, film)
        assert found.spacing_mm is None
    assert read_film(_nrrd(tmp_path / "b.nrrd", film.T, spacings=[0.2, 0.2])).spacing_mm == pytest.approx(0.2)


@pytest.mark.parametrize("axis", "xyz")
def test_a_single_slice_may_lie_along_any_axis(tmp_path, axis):
    place = "xyz".index(axis)
    values, affine = _stored(np.take(LPS, [1], place), "RAS")
    path = _nifti(tmp_path / "a.nii", values, affine)
    expected = {"x": LPS[1, :, ::-1].T, "y": LPS[:, 1, ::-1].T, "z": LPS[:, :, 1].T}[axis]
    assert pictures_in(path) == [None]
    np.testing.assert_array_equal(read_film(path).pixels, expected)


def test_other_volumes_are_shown_from_their_least_to_their_largest_value(tmp_path):
    ct = np.round(np.linspace(-1000, 1000, LPS.size)).reshape(LPS.shape).astype(np.int16)
    for values in (ct, ct.astype(np.float32) / 7, np.where(ct == ct[3, 3, 3], np.nan, ct).astype(np.float64)):
        films = _slices(_nifti(tmp_path / "a.nii", values, np.diag([-1.0, -1.0, 2.0, 1.0])))
        stacked = np.stack([film.pixels.T for film in films], -1) / 65535
        assert np.nanmax(np.abs(stacked - (ct + 1000) / 2000)[np.isfinite(values)]) < 0.001
        assert films[0].exact and (stacked[~np.isfinite(values)] == 0).all()
    ct[0, 0, 0] = 30000  # metal
    films = _slices(_nifti(tmp_path / "a.nii", ct, np.diag([-1.0, -1.0, 2.0, 1.0])))
    assert np.median([film.pixels for film in films]) / 65535 == pytest.approx(0.5, abs=0.02)


def test_scaled_labels_are_whole_again(tmp_path):
    image = nibabel.Nifti1Image(CODES.astype(np.float64), np.diag([-1.0, -1.0, 2.0, 1.0]))
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "a.nii")
    assert nibabel.load(tmp_path / "a.nii").dataobj.slope != 1.0
    np.testing.assert_array_equal(read_mask(tmp_path / "a.nii", Part("z", 2, 5)), CODES[:, :, 2].T)


@pytest.mark.parametrize(("values", "said"), [
    (CODES - 0.5, "from -0.5 to"), (CODES + np.int16(300), "to 303"), (CODES.astype(np.int16) - 1, "from -1 to"),
    (np.where(CODES == 3, np.nan, CODES), "from nan")])
def test_labels_that_are_no_codes_are_refused(tmp_path, values, said):
    values = values.astype(np.float32 if values.dtype.kind == "f" else np.int16)
    path = _nifti(tmp_path / "a.nii", values, np.diag([-1.0, -1.0, 2.0, 1.0]))
    with pytest.raises(UserError, match=rf"a\.nii: found values [^\n]*{said}"):
        read_mask(path, Part("z", 2, 5))


@pytest.mark.parametrize("above", [0, 1000, 70000])
def test_numbers_of_instances_are_kept(tmp_path, above):
    numbers = CODES.astype(np.int32) + above
    path = _nifti(tmp_path / "a.nii", numbers, np.diag([-1.0, -1.0, 2.0, 1.0]))
    np.testing.assert_array_equal(read_label_samples(path, Part("z", 2, 5)), numbers[:, :, 2].T)


@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2", "ascii"])
def test_nrrd_of_every_packing(tmp_path, encoding):
    path = _nrrd(tmp_path / "a.seg.nrrd", *_stored(CODES, "RAS"), encoding=encoding)
    np.testing.assert_array_equal(read_mask(path, Part("z", 2, 5)), CODES[:, :, 2].T)


@pytest.mark.parametrize("kind", ["RGB-color", "vector", "list", None])
def test_nrrd_of_several_numbers_a_voxel_is_refused(tmp_path, kind):
    """A colour picture as 3D Slicer writes it, or one whose first axis has no direction."""
    colours = RNG.integers(0, 256, (3, 7, 9, 1)).astype(np.uint8)
    kinds = {"kinds": [kind, "domain", "domain", "domain"]} if kind else {}
    placed = {"space": "left-posterior-superior", "space directions": np.vstack([np.full(3, np.nan), np.eye(3)])}
    for values, header in ((colours, {**placed, **kinds}), *([(colours, kinds)] if kind else [])):
        for read in (pictures_in, read_film, read_mask):
            with pytest.raises(UserError, match=r"a\.nrrd: found 3 numbers a voxel, expected one"):
                read(_nrrd(tmp_path / "a.nrrd", values, **header))
    found = read_film(_nrrd(tmp_path / "a.nrrd", colours[:1], **placed, **kinds))
    np.testing.assert_array_equal(found.pixels, colours[0, :, :, 0].T)
    film = _nrrd(tmp_path / "a.nrrd", LPS[..., :1], kinds=["domain", "space", "time"])
    np.testing.assert_array_equal(read_film(film).pixels, LPS[..., 0].T)


def test_nifti_2_and_other_byte_orders(tmp_path):
    values, affine = _stored(LPS.astype(np.int16), "RAS")
    path = _nifti(tmp_path / "a.nii", values, affine, nibabel.Nifti2Image)
    np.testing.assert_array_equal(read_mask(path, Part("z", 1, 5)), LPS[:, :, 1].T)
    header = nibabel.Nifti1Header(endianness=">")
    nibabel.save(nibabel.Nifti1Image(values, affine, header), tmp_path / "b.nii")
    np.testing.assert_array_equal(read_mask(tmp_path / "b.nii", Part("z", 1, 5)), LPS[:, :, 1].T)


def test_what_is_no_picture_is_refused(tmp_path):
    volume = _nifti(tmp_path / "a.nii", *_stored(LPS, "RAS"))
    with pytest.raises(UserError, match=r"a\.nii: found a volume of 7 x 9 x 5 voxels"):
        read_film(volume)
    series = _nifti(tmp_path / "b.nii", np.stack([LPS, LPS], -1), np.eye(4))
    with pytest.raises(UserError, match=r"b\.nii: found 7 x 9 x 5 x 2 voxels"):
        pictures_in(series)
    short = _nifti(tmp_path / "c.nii", *_stored(CODES[..., :4], "RAS"))
    with pytest.raises(UserError, match=r"c\.nii: found 4 slices along z, expected 5"):
        pair_parts(volume, short)
    with pytest.raises(UserError, match="found 1 slices along z, expected 5"):
        pair_parts(volume, tmp_path / "a.png")
    nibabel.save(nibabel.Nifti1Pair(LPS, np.eye(4)), tmp_path / "e.img")
    with pytest.raises(UserError, match=r"e\.img: found a volume in two files"):
        pictures_in(tmp_path / "e.img")
    with pytest.raises(UserError, match=r"e\.img: "):
        read_film(tmp_path / "e.img")


def test_damage_is_told_and_packing_is_bounded(tmp_path):
    whole = _nifti(tmp_path / "a.nii", *_stored(LPS, "RAS")).read_bytes()
    packed = _nrrd(tmp_path / "a.nrrd", *_stored(LPS, "RAS")).read_bytes()
    detached = b"NRRD0005\ntype: uchar\ndimension: 2\nsizes: 2 2\nencoding: raw\ndata file: "
    damaged = {"cut.nii": whole[:-9], "cut.nii.gz": gzip.compress(whole)[:-40], "empty.nrrd": b"",
               "text.nii.gz": gzip.compress(b"text"), "start.nii": whole[:348], "text.nii": b"text",
               "cut.nrrd": packed[:-9], "start.nrrd": b"NRRD0005", "far.nhdr": detached + b"../a.raw\n\n",
               "none.nhdr": detached + b"none.raw\n\n"}
    for name, data in damaged.items():
        (tmp_path / name).write_bytes(data)
        for read in (read_film, read_mask):
            with pytest.raises(UserError) as caught:
                read(tmp_path / name, Part("z", 0, 5))
            assert "\n" not in str(caught.value) and (name in str(caught.value) or "none.raw" in str(caught.value))
    bomb = whole[:352] + bytes(10**8)
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(bomb))
    assert read_volume(tmp_path / "bomb.nii.gz", "NIfTI").stored.size == LPS.size
    far = whole[:108] + np.float32(10**8).tobytes() + bomb[112:] + bytes(LPS.size)  # where the voxels begin
    (tmp_path / "far.nii.gz").write_bytes(gzip.compress(far))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"far\.nii\.gz: found voxels from byte 100,000,000 on"):
        read_volume(tmp_path / "far.nii.gz", "NIfTI")
    assert tracemalloc.get_traced_memory()[1] < 10**7
    tracemalloc.stop()


def test_a_file_that_changed_is_read_again(tmp_path):
    path = _nifti(tmp_path / "a.nii", *_stored(LPS, "RAS"))
    first = read_film(path, Part("z", 0, 5)).pixels
    _nifti(path, *_stored(255 - LPS, "RAS"))
    np.testing.assert_array_equal(read_film(path, Part("z", 0, 5)).pixels, 255 - first)


def test_a_plain_picture_is_one(tmp_path):
    (tmp_path / "a.png").write_bytes(pictures.png(LPS[..., 0]))
    assert pictures_in(tmp_path / "a.png") == [None]
    assert pair_parts(tmp_path / "a.png", tmp_path / "a.png") == [None]
