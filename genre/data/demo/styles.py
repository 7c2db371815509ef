"""The ten genres as tables: tempo, chords, drum patterns and the parts that each instrument plays.

Patterns are read one character a sixteenth note, sixteen to a bar (longer ones span several bars).

Drums: ``X`` accent, ``x`` hit, ``o`` ghost note, ``.`` rest.

Parts: ``1 3 5 6 7 8`` the degree of the chord, ``a`` a half-tone approach to the next root, ``c`` the whole chord,
``p`` and ``s`` the power chord and the boogie sixth, ``m`` the next note of the melody, ``-`` hold, ``.`` rest.

Chords: Roman numerals of the major scale, lower case is minor, ``b`` flattens the root (``bVII``); ``7``, ``maj7``
and ``9`` add notes. One chord a bar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """What one player may play; an artist settles on one instrument and one pattern.

    Parameters
    ----------
    instruments
        Names in :data:`genre.data.demo.instruments.INSTRUMENTS`.
    patterns
        See the module's text; the length is a multiple of 16.
    register
        MIDI number about which the notes lie.
    level
        Loudness in the mix, dB.
    span
        How far a melody may wander to each side, in steps of the scale.
    """

    instruments: tuple[str, ...]
    patterns: tuple[str, ...]
    register: int
    level: float
    span: int = 5


@dataclass(frozen=True, slots=True)
class Style:
    """One genre.

    Parameters
    ----------
    tempo
        Lowest and highest usual tempo, beats a minute.
    swing
        Range of the place of the off-beat inside its beat: 0.5 straight, 0.667 triplets.
    progressions
        What to choose from: the scale of the melody (a name in :data:`genre.data.demo.harmony.SCALES`) and the chords.
    drums
        Drum patterns to choose from, each ``{drum: pattern}``; empty where the genre has no drums.
    drums_level
        Loudness of the drums in the mix, dB.
    parts
        The players by role.
    rubato
        How far the pulse breathes, as a share of the tempo.
    repeat
        Probability that a bar of melody repeats the one before: catchy when high.
    neighbours
        Genres an artist of this one may borrow from.
    """

    tempo: tuple[float, float]
    swing: tuple[float, float]
    progressions: tuple[tuple[str, str], ...]
    drums: tuple[Mapping[str, str], ...]
    drums_level: float
    parts: Mapping[str, Part]
    neighbours: tuple[str, ...]
    rubato: float = 0.0
    repeat: float = 0.5


STYLES: Mapping[str, Style] = {
    "blues": Style(
        tempo=(66, 128),
        swing=(0.61, 0.68),
        progressions=(
            ("blues", "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7"),
            ("mixolydian", "I7 IV7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7"),
            ("blues", "i7 i7 i7 i7 iv7 iv7 i7 i7 bVI7 V7 i7 V7"),
        ),
        drums=(
            {"kick": "x.......x.......", "snare": "....x.......x...", "hat": "x.xox.xox.xox.xo"},
            {"kick": "x.....x.x.....x.", "snare": "....x..o....x..o", "ride": "x.x.x.x.x.x.x.x."},
            {"kick": "x...o...x...o...", "rim": "....x.......x...", "hat": "x.x.x.x.x.x.x.x."},
        ),
        drums_level=-4,
        parts={
            "bass": Part(
                instruments=("finger_bass", "upright_bass"),
                patterns=("1-1-3-3-5-5-6-5-", "1---3---5---6---", "1-..1-5-6-..5-3-"),
                register=36,
                level=-3,
            ),
            "comp": Part(
                instruments=("crunch_guitar", "crunch_guitar", "piano"),
                patterns=("p-p-s-s-p-p-s-s-", "p-p-s-s-p-p-s-p-", "c-..c-..c-..c-c-"),
                register=47,
                level=-5,
            ),
            "lead": Part(
                instruments=("harmonica", "harmonica", "blues_guitar", "blues_guitar", "voice"),
                patterns=("m-m-m---......m-m---m-m-m-----..", "....m-m-m-----....m-m---m-......"),
                register=67,
                level=-3,
            ),
        },
        neighbours=("rock", "jazz", "country"),
        repeat=0.4,
    ),
    "classical": Style(
        tempo=(60, 140),
        swing=(0.5, 0.5),
        progressions=(
            ("major", "I IV V I vi ii V7 I"),
            ("harmonic_minor", "i iv V7 i bVI iv V i"),
            ("major", "I V vi iii IV I IV V"),
            ("harmonic_minor", "i V7 i iv bVI iv V7 i"),
        ),
        drums=(),
        drums_level=-60,
        parts={
            "bass": Part(
                instruments=("cello", "cello", "piano"),
                patterns=("1---------------", "1-------5-------"),
                register=43,
                level=-7,
            ),
            "comp": Part(
                instruments=("piano", "harp", "strings"),
                patterns=("1-5-3-5-1-5-3-5-", "1-3-5-8-5-3-5-3-", "135853135853.5.3", "c-------c-------"),
                register=60,
                level=-5,
            ),
            "lead": Part(
                instruments=("violin", "flute", "oboe", "piano"),
                patterns=("m-----m-m---m---m-------m---m---", "m---m-m-m-m-m-m-m---m---m-------", "m---------m-m-m-"),
                register=74,
                level=-3,
                span=7,
            ),
            "extra": Part(
                instruments=("strings",),
                patterns=("c---------------", "................"),
                register=60,
                level=-8,
            ),
        },
        neighbours=("jazz",),
        rubato=0.06,
        repeat=0.3,
    ),
    "country": Style(
        tempo=(84, 136),
        swing=(0.5, 0.6),
        progressions=(
            ("major_pentatonic", "I I IV I I I V V"),
            ("major", "I IV V I"),
            ("major_pentatonic", "I V IV I I IV V I"),
            ("major", "I I IV IV V V I I"),
        ),
        drums=(
            {"kick": "x.......x.......", "snare": "oxoxXoxooxoxXoxo"},
            {"kick": "x.......x.......", "snare": "....x.......x...", "hat": "..x...x...x...x."},
            {"kick": "x.......x.x.....", "rim": "....x.......x...", "shaker": "x.x.x.x.x.x.x.x."},
        ),
        drums_level=-7,
        parts={
            "bass": Part(
                instruments=("upright_bass", "finger_bass"),
                patterns=("1-------5-------", "1---....5---..a-", "1-----..5-----3-"),
                register=38,
                level=-4,
            ),
            "comp": Part(
                instruments=("steel_guitar",),
                patterns=("....c-......c-..", "1-..c-c-5-..c-c-", "c-..c-cc..c-c-c-"),
                register=55,
                level=-4,
            ),
            "lead": Part(
                instruments=("pedal_steel", "fiddle", "banjo"),
                patterns=("m-m-m-m-m---....m-m-m---m-m-....", "mmmmmmmmmmmmmmm.", "m---m-m-m-------....m-m-m---m---"),
                register=69,
                level=-4,
            ),
        },
        neighbours=("rock", "blues", "pop"),
        repeat=0.5,
    ),
    "disco": Style(
        tempo=(104, 132),
        swing=(0.5, 0.53),
        progressions=(
            ("minor", "i7 iv7 bVII bIIImaj7"),
            ("dorian", "i7 i7 IV7 IV7"),
            ("minor_pentatonic", "i7 bVII iv7 v7"),
            ("major", "vi7 ii7 V7 Imaj7"),
        ),
        drums=(
            {"kick": "x...x...x...x...", "snare": "....x.......x...", "open_hat": "..x...x...x...x."},
            {
                "kick": "x...x...x...x...",
                "clap": "....x.......x...",
                "hat": "xoxoxoxoxoxoxoxo",
                "open_hat": "..x...x...x...x.",
            },
            {"kick": "x...x...x...x...", "clap": "....x.......x..x", "shaker": "xoxxxoxxxoxxxoxx"},
        ),
        drums_level=-2,
        parts={
            "bass": Part(
                instruments=("finger_bass", "synth_bass"),
                patterns=("1-8-1-8-1-8-1-8-", "1.811.811.811.8.", "1-8-..8-5-8-7-8-"),
                register=38,
                level=-3,
            ),
            "comp": Part(
                instruments=("clean_guitar", "clean_guitar", "electric_piano"),
                patterns=("..c..cc...c..cc.", "c.c.ccc.c.c.ccc.", "..c-..c-..c-..c-"),
                register=62,
                level=-6,
            ),
            "lead": Part(
                instruments=("strings", "strings", "brass", "voice"),
                patterns=("m-m-..m-m---....", "m-------m-m-m---", "..m...m...m-m-m-"),
                register=72,
                level=-5,
            ),
            "extra": Part(
                instruments=("strings",),
                patterns=("c---------------", "................"),
                register=67,
                level=-9,
            ),
        },
        neighbours=("pop", "hiphop"),
        repeat=0.7,
    ),
    "hiphop": Style(
        tempo=(74, 108),
        swing=(0.5, 0.62),
        progressions=(
            ("minor_pentatonic", "i7 i7 iv7 i7"),
            ("minor", "i bVI i bVI"),
            ("dorian", "i7 IV7 i7 IV7"),
            ("minor", "i i i bVII"),
        ),
        drums=(
            {"kick": "X......x..X.....", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.xx"},
            {"kick": "X..x......X..x..", "clap": "....X.......X...", "hat": "x.x.xxx.x.x.x.xx"},
            {"kick": "X.....X.......x.", "snare": "....X.......X..o", "shaker": "x.x.x.x.x.x.x.x."},
        ),
        drums_level=1,
        parts={
            "bass": Part(
                instruments=("sub_bass", "synth_bass"),
                patterns=("1-----.1--1-....", "1-------..1-5-..", "1---........1-3-"),
                register=31,
                level=-1,
            ),
            "comp": Part(
                instruments=("electric_piano", "nylon_guitar", "piano", "brass"),
                patterns=(
                    "c---............",
                    "c-----....c-....",
                    "3-.5-.8-5.......",
                    "................c-......c-......",
                ),
                register=60,
                level=-9,
            ),
            "lead": Part(
                instruments=("rap",),
                patterns=("mm.mm.m.mm.mm.m.", "m.mmm.mmm.m.mm..", "..m-......m-m-.."),
                register=52,
                level=-5,
                span=1,
            ),
        },
        neighbours=("pop", "reggae", "disco"),
        repeat=0.7,
    ),
    "jazz": Style(
        tempo=(92, 184),
        swing=(0.58, 0.67),
        progressions=(
            ("bebop", "ii7 V7 Imaj7 vi7"),
            ("bebop", "Imaj7 vi7 ii7 V7"),
            ("major", "ii7 V7 Imaj7 Imaj7 iv7 bVII7 Imaj7 V7"),
            ("dorian", "i7 IV7 i7 IV7 iv7 bVII7 i7 V7"),
        ),
        drums=(
            {"ride": "x...x.x.x...x.x.", "hat": "....x.......x...", "kick": "o...o...o...o..."},
            {"ride": "x...x.x.x...x.x.", "snare": "..o....o......o.", "hat": "....x.......x..."},
            {"brush": "x.o.x.o.x.o.x.o.", "ride": "x...x...x...x..."},
        ),
        drums_level=-9,
        parts={
            "bass": Part(
                instruments=("upright_bass",),
                patterns=("1---3---5---a---", "1---5---3---a---", "1-1-5---8-7-a---"),
                register=38,
                level=-3,
            ),
            "comp": Part(
                instruments=("piano", "piano", "clean_guitar"),
                patterns=("......c-......c-", "c-....c-........", "..c-......c-c...", "c---c---c---c---"),
                register=58,
                level=-7,
            ),
            "lead": Part(
                instruments=("saxophone", "saxophone", "brass", "vibraphone"),
                patterns=("m-m-m-m-m-m-m---..m-m-m---......", "m-m-mmm-m-m-..m-m---......m-m-m-", "....m---m-m-m-m-"),
                register=68,
                level=-3,
                span=8,
            ),
        },
        neighbours=("blues", "classical"),
        repeat=0.1,
    ),
    "metal": Style(
        tempo=(96, 176),
        swing=(0.5, 0.5),
        progressions=(
            ("phrygian", "i i bII i"),
            ("minor", "i bVI bVII i"),
            ("harmonic_minor", "i bVI iv V"),
            ("phrygian", "i i bIII bII"),
        ),
        drums=(
            {"kick": "xxxxxxxxxxxxxxxx", "snare": "....X.......X...", "ride": "x...x...x...x..."},
            {
                "kick": "x.xxx.xxx.xxx.xx",
                "snare": "....X.......X...",
                "crash": "x...............",
                "hat": "x...x...x...x...",
            },
            {"kick": "x.x.xxx.x.x.xxxx", "snare": "........X.......", "crash": "x...x...x...x..."},
        ),
        drums_level=-3,
        parts={
            "bass": Part(
                instruments=("drive_bass", "finger_bass"),
                patterns=("1.111.111.111.11", "1-1-1-1-1-1-1-1-", "1111111111111111"),
                register=33,
                level=-5,
            ),
            "comp": Part(
                instruments=("metal_guitar",),
                patterns=("p.ppp.ppp.ppp.pp", "p---p.ppp---p.pp", "pppppppppppppppp", "p-----p-p---pppp"),
                register=40,
                level=-1,
            ),
            "lead": Part(
                instruments=("lead_guitar", "growl", "lead_guitar"),
                patterns=("mmmmmmmmmmmmmmmm", "m---m---m-m-m---", "................mmmmmmmmm-m-m---"),
                register=70,
                level=-6,
                span=8,
            ),
        },
        neighbours=("rock",),
        repeat=0.3,
    ),
    "pop": Style(
        tempo=(88, 130),
        swing=(0.5, 0.54),
        progressions=(
            ("major", "I V vi IV"),
            ("major_pentatonic", "vi IV I V"),
            ("major", "I vi IV V"),
            ("major_pentatonic", "IV I V vi"),
        ),
        drums=(
            {"kick": "x.......x.......", "clap": "....x.......x...", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "x.....x...x.....", "snare": "....x.......x...", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "x...x...x...x...", "clap": "....x.......x...", "shaker": "xoxoxoxoxoxoxoxo"},
        ),
        drums_level=-3,
        parts={
            "bass": Part(
                instruments=("synth_bass",),
                patterns=("1-1-1-1-1-1-1-1-", "1-----1-1-----1-", "1-------1---5---"),
                register=36,
                level=-4,
            ),
            "comp": Part(
                instruments=("pad", "pad", "electric_piano", "piano"),
                patterns=("c---------------", "c-----c-----c---", "c-c-c-c-c-c-c-c-", "1-5-8-5-3-5-8-5-"),
                register=62,
                level=-6,
            ),
            "lead": Part(
                instruments=("synth_lead", "synth_lead", "voice", "bell"),
                patterns=("m-m-m---m-m-m---", "m-m-..m-m---m---", "..m-m-m-m-----m-"),
                register=70,
                level=-3,
            ),
            "extra": Part(
                instruments=("pad",),
                patterns=("c---------------", "................"),
                register=60,
                level=-10,
            ),
        },
        neighbours=("disco", "rock", "country"),
        repeat=0.8,
    ),
    "reggae": Style(
        tempo=(64, 96),
        swing=(0.5, 0.6),
        progressions=(
            ("minor_pentatonic", "i iv i iv"),
            ("major_pentatonic", "I IV I V"),
            ("major", "I V vi IV"),
            ("dorian", "i bVII i bVII"),
        ),
        drums=(
            {"kick": "........X.......", "rim": "........x.......", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "x...x...x...x...", "rim": "........x.......", "hat": "x.xxx.xxx.xxx.xx"},
            {"kick": "........X.......", "snare": "........x.....oo", "hat": "..x...x...x...x."},
        ),
        drums_level=-4,
        parts={
            "bass": Part(
                instruments=("dub_bass", "finger_bass"),
                patterns=("1---..1-3-5-....", "..1-1-..5-3-1-..", "1-1-..3-5-..3-1-"),
                register=35,
                level=1,
            ),
            "comp": Part(
                instruments=("clean_guitar", "clean_guitar", "organ"),
                patterns=("..c...c...c...c.", "..c...cc..c...cc"),
                register=62,
                level=-3,
            ),
            "lead": Part(
                instruments=("melodica", "melodica", "voice"),
                patterns=("m-m---m---......", "....m-m-m---m-..", "m-----m-m-......................"),
                register=70,
                level=-6,
            ),
            "extra": Part(
                instruments=("organ",),
                patterns=("..c.c...c.c.c...", "................"),
                register=55,
                level=-10,
            ),
        },
        neighbours=("hiphop", "pop"),
        repeat=0.6,
    ),
    "rock": Style(
        tempo=(96, 156),
        swing=(0.5, 0.56),
        progressions=(
            ("mixolydian", "I bVII IV I"),
            ("major", "I IV V IV"),
            ("mixolydian", "I v bVII IV"),
            ("minor_pentatonic", "i bVII bVI bVII"),
            ("major", "vi IV I V"),
        ),
        drums=(
            {"kick": "x.....x.x.......", "snare": "....X.......X...", "hat": "x.x.x.x.x.x.x.x."},
            {"kick": "x.......x.x.....", "snare": "....X.......X...", "ride": "x.x.x.x.x.x.x.x."},
            {"kick": "x..x..x.x..x....", "snare": "....X.......X...", "open_hat": "x...x...x...x..."},
        ),
        drums_level=-2,
        parts={
            "bass": Part(
                instruments=("finger_bass", "drive_bass"),
                patterns=("1-1-1-1-1-1-1-1-", "1-----1-1---5-3-", "1-1-..1-1-1-5-a-"),
                register=36,
                level=-4,
            ),
            "comp": Part(
                instruments=("crunch_guitar",),
                patterns=("p-p-p-p-p-p-p-p-", "c-----c-c---c-c-", "p---..p-p-..p-s-", "c-c-c-cc..c-c-c-"),
                register=48,
                level=-3,
            ),
            "lead": Part(
                instruments=("lead_guitar", "voice"),
                patterns=("m-m-m---m-m-m-m-", "m---m-m-m-----..", "....m-m-m---m-m-"),
                register=67,
                level=-5,
                span=6,
            ),
        },
        neighbours=("metal", "blues", "country", "pop"),
        repeat=0.5,
    ),
}
