"""A label map as a DICOM segmentation (PS3.3 A.51) of the film it was made from, written by highdicom."""

import logging
import pathlib
import warnings
from collections.abc import Sequence

import highdicom
import numpy as np
import pydicom
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes as dicom_codes

from datasets.common import atomic_files
from datasets.common.errors import UserError

_MAKER, _MODEL, _VERSION = "Chest X-rays in stages", "SMANet or U-Net", "1"
_KNOWN = {"lung": dicom_codes.SCT.Lung, "lungs": dicom_codes.SCT.Lung, "heart": dicom_codes.SCT.Heart,
          "clavicle": dicom_codes.SCT.Clavicle, "trachea": dicom_codes.SCT.Trachea}
_SIDES = {"left": dicom_codes.SCT.Left, "right": dicom_codes.SCT.Right}
_EMPTY = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate",
          "StudyTime")  # elements that may be empty but not absent
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")

logging.getLogger("highdicom").setLevel(logging.WARNING)


def write_dicom_seg(source: pathlib.Path, codes: np.ndarray, class_names: Sequence[str],
                    out: pathlib.Path) -> None:
    """Writes codes uint8 [H, W] of film `source` as a binary segmentation, a segment for each organ that is there.

    Raises UserError where `source` lacks what a segmentation must refer to.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom and pydicom warn about values that they only copy
        try:
            header = _read_header(source)
            segmentation = _segmentation(header, codes, class_names)
            with atomic_files.replacing(out) as temporary:
                segmentation.save_as(temporary)
        except (ValueError, TypeError, AttributeError, KeyError, NotImplementedError) as error:
            reason = " ".join(str(error).split())[:160]
            raise UserError(f"{source}: no DICOM segmentation can refer to it ({reason})") from None


def _read_header(source: pathlib.Path) -> pydicom.Dataset:
    header = pydicom.dcmread(source, stop_before_pixels=True, force=True)  # it may lack the preamble
    lacking = [name for name in _NEEDED if not header.get(name)]
    if lacking:
        raise UserError(f"{source}: has no {lacking[0]}, which a DICOM segmentation must name; label map and "
                        "overlay are written, the segmentation is not")
    for name in _EMPTY:
        if name not in header:
            setattr(header, name, None)
    return header


def _segmentation(header: pydicom.Dataset, codes: np.ndarray, class_names: Sequence[str]):
    organs = range(1, len(class_names))
    masks = np.stack([codes == code for code in organs], -1)[None].astype(np.uint8)
    identity = [str(header.SOPInstanceUID), *class_names, codes.tobytes().hex()]
    # numbers from the content: the same result again is the same object to an archive, not a second one
    with_number = {name: pydicom.uid.generate_uid(entropy_srcs=[name, *identity]) for name in ("series", "object")}
    return highdicom.seg.Segmentation(
        source_images=[header], pixel_array=masks, segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(code, class_names[code]) for code in organs],
        series_instance_uid=with_number["series"], series_number=100, instance_number=1,
        sop_instance_uid=with_number["object"], manufacturer=_MAKER, manufacturer_model_name=_MODEL,
        software_versions=_VERSION, device_serial_number="1", series_description="Organs found in the film")


def _describe(code: int, name: str) -> SegmentDescription:
    *side, noun = name.lower().split(maxsplit=1) or [""]
    concept = _KNOWN.get(noun if side and side[0] in _SIDES else name.lower())
    description = SegmentDescription(
        segment_number=code, segment_label=name[:64],
        segmented_property_category=dicom_codes.cid7150.AnatomicalStructure,
        segmented_property_type=concept or CodedConcept(f"CLASS{code}", "99CLASSES", name[:64]),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=_MODEL, version=_VERSION, family=dicom_codes.cid7162.ArtificialIntelligence))
    if concept and side and side[0] in _SIDES:
        modifiers = [CodedConcept.from_code(_SIDES[side[0]])]
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = modifiers
    return description
