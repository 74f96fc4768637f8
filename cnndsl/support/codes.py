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
    "E0108": "a closing bracket that closes nothing",
    "E0109": "a string that is never closed",
    "E0110": "two elements with nothing between them",
    "E0111": "a word of the language where a name belongs",
    # --- E02 names and words (frontend, layers)
    "E0201": "no such layer, block or net",
    "E0202": "no such stream",
    "E0203": "a hyphen that reads as a chain",
    "E0204": "a clause the layer does not have",
    "E0205": "a setting that the layer needs",
    "E0206": "settings that exclude each other",
    "E0207": "a setting outside its range",
    # --- E03 shapes and sizes (layers, frontend)
    "E0301": "a window that does not fit",
    "E0302": "a size that is not what was written",
    "E0303": "an add of different shapes",
    "E0304": "a concat of different sizes",
    "E0305": "a window larger than the image",
    "E0306": "half of a window that is even",
    "E0307": "a layer that needs another kind of input",
    "E0308": "channels that do not divide",
    "E0309": "a reshape that does not fit",
    "E0310": "a window that sees only padding",
    "E0311": "a reflection wider than the image",
    # --- E04 streams (frontend)
    "E0401": "several streams where one belongs",
    # --- E05 parameters and claims (frontend)
    "E0501": "a parameter value outside its choices",
    # --- E06 files, imports and limits
    "E0601": "files that import each other",
    "E0602": "a network too large to build",
    "E0610": "a file that cannot be read",
    "E0611": "a file that is too large",
    "E0612": "a file that is not text",
    "E0613": "not a regular file",
    "E0614": "too many tokens",
    "E0615": "nested too deeply",
    "E0616": "a number, name or string that is too long",
    "E0619": "a program that is not there",
    "E0603": "text that is not a graph",
    # --- E07 training and weights
    "E0701": "an update that teaches nothing",
    "E0702": "weights that do not fit",
    "E0710": "a weights file that is not there",
    "E0711": "a weights file that is damaged",
    "E0712": "weights without their program",
    "E0713": "a model without weights",
    "E0720": "a folder that is not a run",
    "E0721": "a run whose settings cannot be read",
    "E0730": "an optimizer, loss or schedule that does not exist",
    "E0731": "an option that the optimizer, loss or schedule does not have",
    "E0732": "a value that makes no sense in training",
    # --- E08 data
    "E0801": "data that is not there",
    "E0802": "no such data set",
    "E0803": "a data file that is not what it should be",
    "E0804": "a data file that ends too early",
    "E0805": "a data file that goes on too long",
    "E0806": "a data file that cannot be read",
    "E0807": "a label outside the classes",
    "E0808": "data files that do not belong together",
    "E0809": "data too large to read",
    "E0810": "images that cannot be read",
    "E0811": "an image folder without classes",
    "E0812": "images of different sizes",
    "E0813": "a data path that leaves its folder",
    "E0814": "data that does not fit the program",
    "E0815": "a data setting outside its choices",
    "E0816": "a download that did not arrive",
    "E0817": "a file that is not the published one",
    "E0818": "a folder that cannot be written",
    "E0819": "a batch larger than the data",
    "E0820": "a network whose scores do not fit the classes",
    "E0821": "a split that the data set has not",
    # --- E09 command line and running
    "E0910": "feeds that do not fit the program",
    "E0911": "parameters that do not fit the program",
    "E0912": "no such backend",
    # --- N notes
    "N0001": "free repetition counts",
    # --- W warnings
}
