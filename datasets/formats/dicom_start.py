"""How a DICOM file begins, with its preamble and without (PS3.10, section 7.1); needs no decoder."""

_VRS = (b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV"
        .split())
_LONG_VRS = (b"OB", b"OD", b"OF", b"OL", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")  # 4-byte lengths
_LONGEST = 2**16  # bytes of one of the first elements: identifiers, dates, and one list of codes at most
DIRECTORY = b"1.2.840.10008.1.3.10"  # SOP class of a DICOMDIR, which lists files and holds no picture


def is_dicom(data: bytes) -> bool:
    """Whether a file that begins with `data` (200 bytes do) is DICOM.

    Without preamble, files begin with the first element: of group 2, or of group 8 where that is missing too.
    """
    return data[128:132] == b"DICM" or has_explicit_vrs(data) is not None


def has_explicit_vrs(data: bytes) -> bool | None:
    """Whether elements at the start of `data` say their type; None where no elements of group 2 or 8 begin it."""
    if data[:2] not in (b"\x02\0", b"\x08\0") or len(data) < 16:
        return None
    explicit = data[4:6] in _VRS
    if not explicit and data[:2] == b"\x02\0":
        return None  # group 2 always says its types
    position, tag = 0, (0, -1)
    for _ in range(2):  # two elements in a row, by rising tags, are no accident
        element = data[position:position + 12]
        found = (int.from_bytes(element[:2], "little"), int.from_bytes(element[2:4], "little"))
        if found[0] not in (2, 8) or found <= tag or (explicit and element[4:6] not in _VRS):
            return None
        header, length = 8, element[4:8]
        if explicit:
            header, length = (12, element[8:12]) if element[4:6] in _LONG_VRS else (8, element[6:8])
        length, tag = int.from_bytes(length, "little"), found
        if length > _LONGEST:
            return None
        position += header + length
    return explicit
