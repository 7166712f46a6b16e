"""Paths of one machine as another has them: Open Job Description's rules, or plain pairs of prefixes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from overpaint.errors import Invalid, Missing

FORMATS: dict[str, type[PurePath]] = {"POSIX": PurePosixPath, "WINDOWS": PureWindowsPath}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What begins with `source` begins with `destination` here. Windows paths are compared without regard to case."""

    source: PurePath
    destination: Path

    def apply(self, path: str) -> Path | None:
        """The path here, or None where the rule says nothing of it."""
        given = type(self.source)(path)
        return (
            Path(self.destination, *given.relative_to(self.source).parts) if given.is_relative_to(self.source) else None
        )


def read_rules(file: Path) -> Callable[[Path], Path]:
    """How the paths that are given become those of this machine; the rule with the longest source counts.

    `file` is JSON: {"version": "pathmapping-1.0", "path_mapping_rules": [...]} as an OpenJD session writes it, or pairs
    {"/mnt/show": "S:\\\\show"}. Raises Missing or Invalid.
    """
    try:
        plain = json.loads(file.read_text("utf-8"))
        rules = tuple(map(_rule, plain["path_mapping_rules"])) if "path_mapping_rules" in plain else _pairs(plain)
    except FileNotFoundError:
        raise Missing(field="path_map", message=f"{file} is not there", remedy="Check the path") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{file} is no path map ({error!r})"
        raise Invalid(field="path_map", message=what, remedy='Give OpenJD\'s rules, or pairs {"FROM": "TO"}') from None
    ordered = sorted(rules, key=lambda rule: len(rule.source.parts), reverse=True)

    def here(path: Path) -> Path:
        return next((found for rule in ordered if (found := rule.apply(str(path))) is not None), path)

    return here


def _rule(plain: dict[str, Any]) -> Rule:
    source = FORMATS[plain["source_path_format"].upper()](plain["source_path"])
    return Rule(source=source, destination=Path(plain["destination_path"]))


def _pairs(plain: dict[str, Any]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            source=FORMATS["WINDOWS" if "\\" in source or source[1:2] == ":" else "POSIX"](source), destination=Path(to)
        )
        for source, to in plain.items()
    )
