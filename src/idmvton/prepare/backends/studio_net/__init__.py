"""What each pixel of a person shows: labels of clothes and skin, and body parts.

The embedded backend ``studio-net`` is one small network. ``encoding`` says what it reads (training and use share it),
``network`` is the network, ``refine`` sharpens what it says along the edges of the photo, ``parser`` puts them
together. ``scores`` compares maps.
"""
