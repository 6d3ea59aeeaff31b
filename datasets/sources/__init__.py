"""Where labelled pairs come from: JSRT with SCR, the user's own folders, nnU-Net's, phantoms, a shape model."""
