"""Weights: reading and writing weight files, and the catalogue of published weights with its downloads.

Importing this package loads no torch, no safetensors and no huggingface_hub. A reader follows :mod:`.sniff`
(what is this file?), :mod:`.files` (tensors in and out), :mod:`.catalogue` (what there is), :mod:`.manifest`
(what the hub said), :mod:`.local` (where it lies), :mod:`.download` and :mod:`.verification`.
"""

from idmvton.weights.catalogue import CATALOGUE, find_entry
from idmvton.weights.download import get
from idmvton.weights.entries import WeightsEntry
from idmvton.weights.files import find_weights, read_notes, read_tensors, write_tensors
from idmvton.weights.local import WeightsStatus, is_name, locate, locate_base, locate_file, stamp, status
from idmvton.weights.manifest import MANIFEST_NAME, FileRecord, Manifest, Progress, read_manifest
from idmvton.weights.sniff import check_file, check_not_a_stand_in, size_text
from idmvton.weights.verification import FileCheck, VerifyReport, verify

__all__ = [
    "CATALOGUE",
    "MANIFEST_NAME",
    "FileCheck",
    "FileRecord",
    "Manifest",
    "Progress",
    "VerifyReport",
    "WeightsEntry",
    "WeightsStatus",
    "check_file",
    "check_not_a_stand_in",
    "find_entry",
    "find_weights",
    "get",
    "is_name",
    "locate",
    "locate_base",
    "locate_file",
    "read_manifest",
    "read_notes",
    "read_tensors",
    "size_text",
    "stamp",
    "status",
    "verify",
    "write_tensors",
]
