"""Any segmentation network as a source of labels: transformers or ONNX files, and a table of what its classes are."""
