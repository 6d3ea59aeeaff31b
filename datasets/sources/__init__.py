"""Where labelled pairs come from: JSRT with SCR, the user's own folders, phantoms, a shape model."""
