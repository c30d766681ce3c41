"""What published weights there are, under which licence, and which files of them are needed."""

from __future__ import annotations

import difflib
import re
from typing import Final

from idmvton.errors import WeightsError
from idmvton.weights.catalogue_evaluation import EVALUATION_ENTRIES
from idmvton.weights.entries import APACHE, KnownFile, Package, PackagedFile, WeightsEntry

DETECTOR_FILE = "pose_detection.tflite"
FULL_LANDMARK_FILE = "pose_landmark_full.tflite"
HEAVY_LANDMARK_FILE = "pose_landmark_heavy.tflite"

PIPELINE_FILES = (
    "model_index.json",
    "scheduler/*",
    "tokenizer/*",
    "tokenizer_2/*",
    "text_encoder/*",
    "text_encoder_2/*",
    "image_encoder/*",
    "vae/*",
    "unet/*",
    "unet_encoder/*",
)
_HUB_ID = re.compile(r"\w(?:[\w.-]*\w)?/\w(?:[\w.-]*\w)?", re.ASCII)


_CC_BY_NC_SA = ("CC BY-NC-SA 4.0", "https://creativecommons.org/licenses/by-nc-sa/4.0/legalcode")
_OPEN_RAIL = (
    "CreativeML Open RAIL++-M",
    "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
)


def _packaged(
    name: str, repo: str, version: str, description: str, approximate_bytes: int, package: Package
) -> WeightsEntry:
    return WeightsEntry(
        name,
        repo,
        version,
        tuple(package.files),
        *APACHE,
        description,
        approximate_bytes,
        "preparation",
        package=package,
    )


_SPACE: Final = "yisol/IDM-VTON"
_DENSEPOSE: Final = "ckpt/densepose/model_final_162be9.pkl"
_ATR: Final = "ckpt/humanparsing/parsing_atr.onnx"
_LIP: Final = "ckpt/humanparsing/parsing_lip.onnx"
_OPENPOSE: Final = "ckpt/openpose/ckpts/body_pose_model.pth"
_IN_THE_SPACE: Final = {
    _DENSEPOSE: KnownFile(255_757_821, "b8a7382001b16e453bad95ca9dbc68ae8f2b839b304cf90eaf5c27fbdb4dae91"),
    _ATR: KnownFile(266_859_305, "04c7d1d070d0e0ae943d86b18cb5aaaea9e278d97462e9cfb270cbbe4cd977f4"),
    _LIP: KnownFile(None, "8436e1dae96e2601c373d1ace29c8f0978b16357d9038c17a8ba756cca376dbc"),
    _OPENPOSE: KnownFile(209_267_595, "25a948c16078b0f08e236bda51a385d855ef4c153598947c28c0d47ed94bb746"),
}
_LIP_BYTES: Final = 267_000_000
_LIP_NOTE: Final = "The size and hash of parsing_lip.onnx are known from one source only."
_DENSEPOSE_LICENCE: Final = ("CC BY-SA 3.0", "https://creativecommons.org/licenses/by-sa/3.0/")
_SCHP_LICENCE: Final = ("MIT", "https://github.com/GoGoDuck912/Self-Correction-Human-Parsing/blob/master/LICENSE")
_OPENPOSE_LICENCE: Final = (
    "OpenPose (non-commercial research)",
    "https://github.com/CMU-Perceptual-Computing-Lab/openpose/blob/master/LICENSE",
)


def _in_the_space(
    name: str, files: tuple[str, ...], licence: tuple[str, str], description: str, note: str = ""
) -> WeightsEntry:
    """Networks of the published preparation."""
    known = {file: _IN_THE_SPACE[file] for file in files}
    return WeightsEntry(
        name,
        _SPACE,
        "main",
        files,
        *licence,
        description,
        sum(file.size or _LIP_BYTES for file in known.values()),
        "preparation",
        repo_type="space",
        known=known,
        note=note,
    )


_ENTRIES = (
    WeightsEntry(
        "mini",
        "idmvton",
        "1",
        (*PIPELINE_FILES, "warp_net/*"),
        *APACHE,
        "A small complete IDM-VTON that comes with this library, trained on rendered people: 512x384, for the CPU.",
        None,
        "checkpoint",
        embedded="assets/mini",
    ),
    WeightsEntry(
        "idm-vton",
        "yisol/IDM-VTON",
        "585a32e74aee241cbc0d0cc3ab21392ca58c916a",
        PIPELINE_FILES,
        *_CC_BY_NC_SA,
        "IDM-VTON trained on VITON-HD: upper-body garments, 1024x768.",
        28_400_000_000,
        "checkpoint",
    ),
    WeightsEntry(
        "idm-vton-dc",
        "yisol/IDM-VTON-DC",
        "0fcf915a04a97a353678e2f17f89587127fce7f0",
        PIPELINE_FILES,
        *_CC_BY_NC_SA,
        "IDM-VTON trained on DressCode: upper-body and lower-body garments and dresses, 1024x768.",
        28_400_000_000,
        "checkpoint",
        base="idm-vton",
    ),
    WeightsEntry(
        "sdxl-inpainting",
        "diffusers/stable-diffusion-xl-1.0-inpainting-0.1",
        "115134f363124c53c7d878647567d04daf26e41e",
        (
            "model_index.json",
            "scheduler/scheduler_config.json",
            "tokenizer/*",
            "tokenizer_2/*",
            "text_encoder/config.json",
            "text_encoder/model.safetensors",
            "text_encoder_2/config.json",
            "text_encoder_2/model.safetensors",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
        ),
        *_OPEN_RAIL,
        "SDXL inpainting: TryonNet, the text encoders and the VAE start from it.",
        13_900_000_000,
        "part",
    ),
    WeightsEntry(
        "sdxl-base",
        "stabilityai/stable-diffusion-xl-base-1.0",
        "462165984030d82259a11f4367a4eed129e94a7b",
        ("unet/config.json", "unet/diffusion_pytorch_model.safetensors"),
        *_OPEN_RAIL,
        "The UNet of SDXL: it becomes GarmentNet.",
        10_270_000_000,
        "part",
    ),
    WeightsEntry(
        "ip-adapter-plus",
        "h94/IP-Adapter",
        "018e402774aeeddd60609b4ecdb7e298259dc729",
        (
            "sdxl_models/ip-adapter-plus_sdxl_vit-h.safetensors",
            "models/image_encoder/config.json",
            "models/image_encoder/model.safetensors",
        ),
        *APACHE,
        "IP-Adapter Plus for SDXL and its CLIP ViT-H image encoder: the image prompt starts from it.",
        3_380_000_000,
        "part",
    ),
    WeightsEntry(
        "clip-vit-large-patch14",
        "openai/clip-vit-large-patch14",
        "32bd64288804d66eefd0ccbe215aa642df71cc41",
        (
            "config.json",
            "model.safetensors",
            "vocab.json",
            "merges.txt",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "tokenizer.json",
        ),
        "MIT",
        "https://github.com/openai/CLIP/blob/main/LICENSE",
        "CLIP ViT-L/14: proposes captions of garments (`idmvton caption`).",
        1_720_000_000,
        "preparation",
    ),
    _packaged(
        "pose",
        "mediapipe",
        "0.10.21",
        "BlazePose: finds people and their 33 landmarks. Needed to prepare photos.",
        35_600_000,
        Package(
            "pip",
            # the files are the same in the wheels of all platforms; naming one makes pip need no match with this one
            ("--platform", "manylinux_2_28_x86_64", "--python-version", "311", "--only-binary", ":all:"),
            {
                DETECTOR_FILE: PackagedFile(
                    "mediapipe/modules/pose_detection/pose_detection.tflite",
                    2_959_046,
                    "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
                ),
                FULL_LANDMARK_FILE: PackagedFile(
                    "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
                    6_440_512,
                    "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
                ),
            },
        ),
    ),
    _packaged(
        "pose-heavy",
        "@mediapipe/pose",
        "0.5.1675469404",
        "BlazePose's larger landmark model, used in place of the full one where it is here. Fetching it needs npm.",
        27_700_000,
        Package(
            "npm",
            (),
            {
                HEAVY_LANDMARK_FILE: PackagedFile(
                    "package/pose_landmark_heavy.tflite",
                    27_709_200,
                    "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe",
                ),
            },
        ),
    ),
    _in_the_space(
        "densepose-r50",
        (_DENSEPOSE,),
        _DENSEPOSE_LICENCE,
        "DensePose R50-FPN s1x: the body maps that the published weights were trained on.",
    ),
    _in_the_space("schp-atr", (_ATR,), _SCHP_LICENCE, "SCHP trained on ATR: the clothes behind the published masks."),
    _in_the_space(
        "schp-lip",
        (_LIP,),
        _SCHP_LICENCE,
        "SCHP trained on LIP: tells face from neck for the published masks.",
        _LIP_NOTE,
    ),
    _in_the_space(
        "openpose-body",
        (_OPENPOSE,),
        _OPENPOSE_LICENCE,
        "OpenPose's body network: the joints of the published masks.",
    ),
    _in_the_space(
        "preparation-published",
        (_DENSEPOSE, _ATR, _LIP, _OPENPOSE),
        (
            f"{_DENSEPOSE_LICENCE[0]}; {_SCHP_LICENCE[0]}; {_OPENPOSE_LICENCE[0]}",
            f"{_DENSEPOSE_LICENCE[1]} {_SCHP_LICENCE[1]} {_OPENPOSE_LICENCE[1]}",
        ),
        "All networks of the published preparation: densepose-r50, schp-atr, schp-lip and openpose-body.",
        _LIP_NOTE,
    ),
)

CATALOGUE: dict[str, WeightsEntry] = {entry.name: entry for entry in (*_ENTRIES, *EVALUATION_ENTRIES)}
"""The published weights that this library knows, by name."""


def find_entry(name: str) -> WeightsEntry:
    """The entry of a catalogue name or of a hub id.

    Args:
        name: a name in :data:`CATALOGUE`, or ``owner/name`` of any repository laid out like a try-on
            checkpoint.

    Returns:
        The catalogue's entry (for its hub id too), or one made for that repository.

    Raises:
        WeightsError: neither; the nearest name and the whole list are in the message.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    for entry in CATALOGUE.values():
        if name.lower() == entry.repo.lower() and entry.repo_type == "model":
            return entry
    if is_hub_id(name):
        return WeightsEntry(
            name,
            name,
            "main",
            PIPELINE_FILES,
            "not known to this library",
            f"https://huggingface.co/{name}",
            "A checkpoint on the hub that is not in the catalogue: its main branch, not pinned to a commit.",
            None,
            "checkpoint",
        )
    near = difflib.get_close_matches(name.lower(), CATALOGUE, n=1)
    raise WeightsError(
        f"there are no weights called {name!r}",
        expected=(f"{near[0]!r}? The names are: " if near else "one of ") + ", ".join(CATALOGUE),
        fix="give one of these names, a hub id (owner/name), or the path of a folder",
    )


def is_hub_id(name: str) -> bool:
    """Whether a text has the form ``owner/name``."""
    return bool(_HUB_ID.fullmatch(name)) and len(name) <= 96 and ".." not in name and "--" not in name
