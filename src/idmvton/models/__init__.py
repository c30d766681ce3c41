"""The networks: GarmentNet, TryonNet, image prompt and text encoders, on stock diffusers and transformers."""
