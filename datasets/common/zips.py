"""What reading a zip file raises where it is damaged; .npz and .keras files are such."""

import zipfile
import zlib

# RuntimeError: a bit that changed says that the file is encrypted, or packed in a way that Python doesn't know
DAMAGED_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
# of `with numpy.load(...)`; TypeError: the file is one array, a .npy under the name of a .npz
DAMAGED_NPZ = (OSError, ValueError, TypeError, AttributeError, *DAMAGED_ZIP)
