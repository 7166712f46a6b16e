"""A job out of files, sealed in a folder."""

from __future__ import annotations

from pathlib import Path

from overpaint.card import check_spec
from overpaint.errors import Invalid
from overpaint.sealed import Sealed, Sealing

from overpaint_backend import registry
from overpaint_backend.files import Files, gather


def pack(files: Files, folder: Path, weights: Path) -> tuple[Sealed, tuple[str, ...]]:
    """Seal the job for the weights that are in `weights`; and in words what had to be done to fit the guides.

    Raises Missing or Invalid naming the field; then there is no folder.
    """
    with Sealing(folder) as sealing:
        fingerprint = registry.fingerprint(files.engine, weights)
        spec, notes = gather(files, sealing)
        for problem in check_spec(spec, registry.card(spec.engine)):
            raise Invalid(field=problem.field, message=problem.message, remedy=problem.remedy)
        return sealing.finish(spec, fingerprint), notes
