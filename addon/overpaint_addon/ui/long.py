"""Operators that take long: by a person Blender stays free, by a script they return when all is done."""

from __future__ import annotations

from concurrent.futures import CancelledError
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.errors import OverpaintError

from . import session


class Long:
    """Beside `bpy.types.Operator`; what is done is `begin(context, wait=)`, which may raise OverpaintError.

    It returns Blender's word for how it ended, or None where it ended well.
    """

    begin: Any
    by_person = False

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        """By a person: the list of jobs shows how far it is."""
        self.by_person = True
        return self.execute(context)

    def execute(self, context: bpy.types.Context) -> set[str]:
        """By a script: returns when it is done. Blender's Repeat Last calls it too, for what a person has invoked."""
        return self._told(context, wait=not self.by_person)

    def _told(self: Any, context: bpy.types.Context, *, wait: bool) -> set[str]:
        try:
            return self.begin(context, wait=wait) or {"FINISHED"}
        except OverpaintError as error:
            return refuse(self, error)
        except CancelledError:
            self.report({"WARNING"}, "It was cancelled")
            return {"CANCELLED"}


def refuse(operator: bpy.types.Operator, error: OverpaintError) -> set[str]:
    """Say what is wrong, as a report and in the panel."""
    now = session.current()
    now.words, now.error = str(error), error
    operator.report({"ERROR"}, str(error))
    return {"CANCELLED"}
