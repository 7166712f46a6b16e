"""Restore: what of a take's request goes back into the panel's fields."""

from __future__ import annotations

from overpaint import wire
from overpaint.edit import Input, OptionValue


def settings(request: str) -> tuple[dict[str, OptionValue], dict[str, OptionValue]]:
    """The fields by name as they were when the take was asked for, and the engine's options by theirs.

    Raises Invalid where the text is no request.
    """
    spec = wire.request_from_json(request)
    edit, mask = spec.edit, spec.edit.guide(Input.MASK)
    fields: dict[str, OptionValue] = {
        "engine": spec.engine,
        "task": edit.task.value,
        "prompt": edit.prompt,
        "negative_prompt": edit.negative_prompt,
        "seed": edit.seed,
    }
    if mask is not None:
        fields |= {"grow": mask.grow, "feather": mask.feather}
    return fields, dict(edit.options)
