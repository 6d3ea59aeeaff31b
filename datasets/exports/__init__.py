"""Pair folders in the formats of other tools: nnU-Net's is in datasets.sources.nnunet, which also reads it."""
