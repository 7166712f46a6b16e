"""What is meant where the artist leaves it to us: the task, the engine, and the options of a quality."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from overpaint.card import EngineCard, OptionKind, OptionSpec, usual
from overpaint.edit import Input, OptionValue, Task
from overpaint.errors import Invalid, Missing


class Quality(StrEnum):
    """How much work an engine spends."""

    DRAFT = "draft"
    STANDARD = "standard"
    BEST = "best"


WORK = {Quality.DRAFT: 0.5, Quality.STANDARD: 1.0, Quality.BEST: 2.0}  # of the steps that are usual


def choose_task(given: frozenset[Input]) -> Task:
    """What is probably meant by these inputs. Without a mask it is Repaint, which asks for one: to paint whole frames
    takes long and keeps nothing, so nobody gets that by forgetting a mask."""
    content = given - {Input.MASK, Input.NEGATIVE_PROMPT}
    return Task.REMOVE if Input.MASK in given and not content else Task.REPAINT


def choose_card(cards: Sequence[EngineCard], engine: str, task: Task, given: frozenset[Input]) -> EngineCard:
    """The card of the engine of that name, or (where it is "") of the usual one for the task with these inputs.

    Raises Missing where there is none of that name, Invalid where it cannot be used at present or none can do the task.
    """
    if not engine:
        return usual(cards, task, given)
    card = next((card for card in cards if card.name == engine), None)
    if card is None:
        known = ", ".join(sorted(card.name for card in cards))
        raise Missing(field="engine", message=f"the server has no engine {engine!r}", remedy=f"Choose {known}")
    if card.obstacle:
        raise Invalid(
            field="engine",
            message=f"the server cannot use the engine {engine}: {card.obstacle}",
            remedy="Choose another engine, or ask the server's owner",
        )
    return card


def quality_option(card: EngineCard) -> OptionSpec | None:
    """The option that trades time for quality: engines that have one call it steps."""
    option = card.option("steps")
    return option if option and option.kind is OptionKind.INT else None


def options_of(card: EngineCard, quality: Quality) -> dict[str, OptionValue]:
    """The engine's options where the artist changed none: its defaults, and the steps that the quality asks for."""
    options, steps = card.complete({}), quality_option(card)
    if steps is not None:
        most = max(float(steps.default) * WORK[quality], steps.minimum, 1)
        options[steps.name] = round(min(most, steps.maximum))
    return options
