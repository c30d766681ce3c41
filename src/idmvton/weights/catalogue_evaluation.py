"""The weights that metrics need: backbones of perceptual distances, networks of embeddings, a reader of text."""

from __future__ import annotations

from typing import Final

from idmvton.weights.entries import APACHE, Package, PackagedFile, WeightsEntry

_BSD_2: Final = ("BSD-2-Clause", "https://github.com/abhijay9/ShiftTolerant-LPIPS/blob/main/LICENSE")
_BSD_3: Final = ("BSD-3-Clause", "https://github.com/pytorch/vision/blob/main/LICENSE")
_ZOO: Final = "https://download.pytorch.org/models"
_ANY_PYTHON: Final = ("--only-binary", ":all:")


def _backbone(name: str, title: str, file: str, approximate_bytes: int) -> WeightsEntry:
    """A network of PyTorch's model zoo, whose file names end in the first digits of the file's SHA-256."""
    digits = file.removesuffix(".pth").rsplit("-", 1)[1]
    return WeightsEntry(
        f"backbone-{name}",
        _ZOO,
        digits,
        (file,),
        *_BSD_3,
        f"{title} trained on ImageNet: the backbone of LPIPS ({name}).",
        approximate_bytes,
        "evaluation",
        package=Package("web", (), {file: PackagedFile(f"{_ZOO}/{file}", None, digits)}),
    )


EVALUATION_ENTRIES: Final = (
    WeightsEntry(
        "st-lpips",
        "stlpips-pytorch",
        "0.0.2",
        ("alex_shift_tolerant.pth",),
        *_BSD_2,
        "Shift-tolerant LPIPS with AlexNet, whole: a learned distance of pictures (`idmvton evaluate`).",
        63_807_084,
        "evaluation",
        package=Package(
            "pip",
            _ANY_PYTHON,
            {
                "alex_shift_tolerant.pth": PackagedFile(
                    "stlpips_pytorch/weights/vST0.0/alex_shift_tolerant.pth",
                    9_899_296,
                    "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
                )
            },
        ),
    ),
    WeightsEntry(
        "pp-ocr",
        "rapidocr-onnxruntime",
        "1.4.4",
        ("ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_rec_infer.onnx"),
        *APACHE,
        "PP-OCRv4: finds and reads text on garments (`idmvton evaluate`).",
        14_900_000,
        "evaluation",
        package=Package(
            "pip",
            _ANY_PYTHON,
            {
                "ch_PP-OCRv4_det_infer.onnx": PackagedFile(
                    "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx",
                    4_745_517,
                    "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9",
                ),
                "ch_PP-OCRv4_rec_infer.onnx": PackagedFile(
                    "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx",
                    10_857_958,
                    "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b",
                ),
            },
        ),
    ),
    _backbone("alex", "AlexNet", "alexnet-owt-7be5be79.pth", 244_400_000),
    _backbone("vgg", "VGG16", "vgg16-397923af.pth", 553_400_000),
    _backbone("squeeze", "SqueezeNet 1.1", "squeezenet1_1-b8a52dc0.pth", 4_970_000),
    WeightsEntry(
        "inception-fid",
        "stylegan2-ada-pytorch metrics",
        "2015-12-05",
        ("inception-2015-12-05.pt",),
        "Apache-2.0 (the network of TensorFlow's authors)",
        "https://github.com/tensorflow/models/blob/master/LICENSE",
        "Inception of 2015-12-05 as TorchScript: the features of FID and KID. Its hash is not pinned.",
        95_600_000,
        "evaluation",
        package=Package(
            "web",
            (),
            {
                "inception-2015-12-05.pt": PackagedFile(
                    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
                    None,
                    "",
                )
            },
        ),
    ),
    WeightsEntry(
        "dino-vits16",
        "facebook/dino-vits16",
        "main",
        ("config.json", "model.safetensors", "pytorch_model.bin", "preprocessor_config.json"),
        *APACHE,
        "DINO ViT-S/16: the embeddings of the DINO metric. Its main branch, not pinned to a commit.",
        87_000_000,
        "evaluation",
    ),
)
