"""OpenPose's body model in plain PyTorch: people and their 18 joints."""
