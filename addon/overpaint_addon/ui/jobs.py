"""The list of jobs in the sequencer's sidebar: layout, and the pictures of what is being painted."""

from __future__ import annotations

import bpy  # pyright: ignore[reportMissingImports]
import bpy.utils.previews  # pyright: ignore[reportMissingImports]
import numpy as np
from overpaint.job import Picture

from ..core.jobs import Act, JobRow
from ..core.words import lines, say
from . import session

ICONS = {
    Act.FRONT: "TRIA_UP_BAR",
    Act.PAUSE: "PAUSE",
    Act.RESUME: "PLAY",
    Act.RETRY: "FILE_REFRESH",
    Act.CANCEL: "CANCEL",
    Act.DISMISS: "X",
}
STATES = {"Failed": "ERROR", "Cancelled": "CANCEL", "Paused": "PAUSE", "Waiting": "SORTTIME", "Painted": "CHECKMARK"}
LINE = 44  # characters of a line in a sidebar of usual width


class OVERPAINT_PT_jobs(bpy.types.Panel):
    """Every job of this file."""

    bl_space_type = "SEQUENCE_EDITOR"
    bl_region_type = "UI"
    bl_category = "Overpaint"
    bl_label = "Jobs"
    bl_parent_id = "OVERPAINT_PT_edit"
    bl_order = 0

    @classmethod
    def poll(cls, _context: bpy.types.Context) -> bool:
        return bool(session.current().rows())

    def draw(self, _context: bpy.types.Context) -> None:
        rows = session.current().rows()
        for row in rows:
            _draw_job(self.layout.box(), row)
        _pictures.keep_only({row.job_id for row in rows})


def _draw_job(box: bpy.types.UILayout, row: JobRow) -> None:
    head = box.row(align=True)
    head.label(text=row.name)
    head.label(text=say(row.state), icon=STATES.get(row.state, "NONE"))
    for act in row.acts:
        button = head.operator("overpaint.job", text="", icon=ICONS[act])
        button.act, button.job_id = act.value, row.job_id
    if row.share is not None:
        box.progress(text=row.words, factor=row.share)
    elif row.words and row.words != row.state:
        for line in lines(row.words, LINE):
            box.label(text=line)
    if row.picture is not None:
        box.template_icon(icon_value=_pictures.icon(row.job_id, row.picture), scale=6)


class Pictures:
    """Blender's previews of the jobs' pictures; made when the first is drawn, gone when the add-on goes."""

    def __init__(self) -> None:
        self._previews: bpy.utils.previews.ImagePreviewCollection | None = None
        self._shown: dict[str, Picture] = {}

    def icon(self, job_id: str, picture: Picture) -> int:
        """The icon that shows the picture."""
        previews = self._previews = self._previews or bpy.utils.previews.new()
        preview = previews.get(job_id) or previews.new(job_id)
        if self._shown.get(job_id) is not picture:
            self._shown[job_id] = picture
            preview.image_size = picture.width, picture.height
            preview.image_pixels_float.foreach_set(_floats(picture))
        return preview.icon_id

    def keep_only(self, job_ids: set[str]) -> None:
        for job_id in set(self._shown) - job_ids:
            del self._shown[job_id]
            if self._previews is not None:
                del self._previews[job_id]

    def close(self) -> None:
        if self._previews is not None:
            bpy.utils.previews.remove(self._previews)
        self._previews = None
        self._shown.clear()


def _floats(picture: Picture) -> np.ndarray:
    """RGBA in [0, 1] with the rows from the bottom, as Blender holds them; flat."""
    rgb = np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)[::-1]
    rgba = np.ones((picture.height, picture.width, 4), np.float32)
    rgba[:, :, :3] = rgb.astype(np.float32) / 255
    return rgba.ravel()


_pictures = Pictures()


def detach() -> None:
    _pictures.close()


CLASSES = (OVERPAINT_PT_jobs,)
