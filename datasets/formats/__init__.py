"""Reading pictures: PNG, TIFF, DICOM and JSRT's raw films, and what their values mean."""
