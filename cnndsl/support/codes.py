"""Every diagnostic code with its title; one table, so that a code is used for one thing only.

Ranges: E01 syntax · E02 names and words · E03 shapes and sizes · E04 streams · E05 parameters and
claims · E06 files, imports and limits · E07 training and weights · E08 data · E09 command line and
running · N notes · W warnings.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # --- E01 syntax (frontend.parse)
    "E0101": "a value where a layer belongs",
    "E0102": "call style inside word style",
    "E0103": "a bracket that is never closed",
    "E0104": "another language's syntax",
    "E0105": "another tool's file format",
    "E0106": "a label that is not a name",
    "E0107": "unexpected text",
    # --- E02 names and words (frontend, layers)
    "E0201": "no such layer, block or net",
    "E0202": "no such stream",
    "E0203": "a hyphen that reads as a chain",
    "E0204": "a clause the layer does not have",
    # --- E03 shapes and sizes (layers, frontend)
    "E0301": "a window that does not fit",
    "E0302": "a size that is not what was written",
    "E0303": "an add of different shapes",
    "E0304": "a concat of different sizes",
    "E0305": "a window larger than the image",
    # --- E04 streams (frontend)
    "E0401": "several streams where one belongs",
    # --- E05 parameters and claims (frontend)
    "E0501": "a parameter value outside its choices",
    # --- E06 files, imports and limits
    "E0601": "files that import each other",
    "E0602": "a network too large to build",
    # --- E07 training and weights
    "E0701": "an update that teaches nothing",
    "E0702": "weights that do not fit",
    # --- E08 data
    # --- E09 command line and running
    # --- N notes
    "N0001": "free repetition counts",
    # --- W warnings
}
