"""The try-on itself, as the paper's figure shows it (section 3): a prepared person and a garment in, a picture out.

:class:`idmvton.tryon.pipeline.TryOnPipeline` calls the stages in order: inputs, garments, conditioning, schedulers,
garment_features and denoising, outputs.
"""
