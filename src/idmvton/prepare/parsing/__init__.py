"""The embedded person parser ``studio-net``: labels of clothes and skin, and body parts, from one small network.

``inputs`` says what the network reads (training and use share it), ``network`` is the network, ``refine`` sharpens
what it says along the edges of the photo, ``studio_net`` puts them together.
"""
