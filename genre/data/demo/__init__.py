"""Demo music: ten genres of small sketches composed by code, so that everything can be tried without a data set.

``styles`` says what each genre plays, ``artists`` invents who plays it, ``composer`` writes the notes, ``instruments``
and ``drums`` make the sounds, ``render`` mixes them and ``folder`` writes the data set.
"""

from genre.data.demo.folder import DEMO_VERSION, make_demo

__all__ = ["DEMO_VERSION", "make_demo"]
