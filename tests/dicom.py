"""Small DICOM files, and what they say."""

import io
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid


def dicom(values: np.ndarray, **about: object) -> bytes:
    """The bytes of a file with these numbers (H, W), (H, W, 3) or (frames, H, W) and elements by keyword."""
    made, colour = Dataset(), values.ndim == 3 and values.shape[2] == 3
    frames = values.shape[0] if values.ndim == 3 and not colour else 1
    bits = 8 * values.dtype.itemsize
    elements: dict[str, object] = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": generate_uid(entropy_srcs=[str(values.sum()), str(about)]),
        "Rows": values.shape[-3 if colour else -2],
        "Columns": values.shape[-2 if colour else -1],
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(values.dtype.kind == "i"),
        **({"NumberOfFrames": frames} if frames > 1 else {}),
        **({"PlanarConfiguration": 0} if colour else {}),
        **about,
    }
    syntax = elements.pop("TransferSyntaxUID", ExplicitVRLittleEndian)
    for name, value in elements.items():
        setattr(made, name, value)
    made.PixelData = values.tobytes()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = syntax
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    content = io.BytesIO()
    made.save_as(content, enforce_file_format=True)
    return content.getvalue()


def write_dicom(path: Path, values: np.ndarray, **about: object) -> Path:
    path.write_bytes(dicom(values, **about))
    return path
