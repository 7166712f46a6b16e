"""What the panel shows, as values: read once per redraw, so that drawing decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
from overpaint.card import EngineCard, check_task
from overpaint.edit import Input, Task
from overpaint.errors import Invalid, OverpaintError

from ..core.choose import quality_option
from ..core.draft import Draft
from ..core.estimate import question, words
from ..core.ports import Selection
from ..core.words import say
from ..host import versions
from . import asking, options, session

VERBS = {
    Task.REPAINT: "Repaint {what}",
    Task.REPLACE: "Replace in {what}",
    Task.ADD: "Add to {what}",
    Task.REMOVE: "Remove from {what}",
    Task.GENERATE: "Generate {what}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelView:
    """`verb` is what the button will do, `engine` the title of the engine that will do it, where that is known.

    `trouble` is why it cannot be done; `cost` says what it takes, in lines. `words` is what was said last, `error` what
    it was about. The negative prompt is shown where it
    counts, and the quality where the engine has one.
    """

    strip: str = ""
    frames: str = ""
    verb: str = "Paint"
    engine: str = ""
    trouble: OverpaintError | None = None
    cost: tuple[str, ...] = ()
    negative: bool = True
    quality: bool = True
    last_seed: int | None = None
    words: str = ""
    error: OverpaintError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineView:
    """The engine that will paint. `options` are the names that have a field, `changed` those that are not as usual;
    `unknown` are kept for this engine, but its card has none of the name."""

    name: str = ""
    title: str = ""
    description: str = ""
    licence: str = ""
    options: tuple[str, ...] = ()
    changed: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What the fields and the selection come to; the card is None while the server's are not known."""

    draft: Draft
    selections: tuple[Selection, ...] = ()
    card: EngineCard | None = None
    trouble: OverpaintError | None = None


def panel_view(context: bpy.types.Context) -> PanelView:
    ask, fields = asking.current(), versions.sequencer_scene(context).overpaint
    ask.look()
    plan = _plan(fields)
    asked = plan.card is not None and plan.trouble is None
    ask.weigh(question(plan.draft, plan.selections, plan.card) if asked and plan.card else None)
    trouble = plan.trouble or ask.refusal
    last = PanelView(
        trouble=trouble,
        last_seed=fields.last_seed if fields.last_seed >= 0 else None,
        words=session.current().words,
        error=session.current().error,
    )
    if not plan.selections:
        return last
    first, *more = plan.selections
    if more:
        count = say("{count} Strips", count=len(plan.selections))
    else:
        count = say("1 Frame") if first.length == 1 else say("{count} Frames", count=first.length)
    return replace(
        last,
        strip=say("{strip} and {count} more", strip=first.strip, count=len(more)) if more else first.strip,
        frames=say(
            "{count} frames, {size}, {depth} bit",
            count=sum(one.length for one in plan.selections),
            size=first.size,
            depth=first.depth,
        ),
        verb=say(VERBS[plan.draft.task], what=count) if plan.draft.task else say("Paint"),
        engine=plan.card.title if plan.card else "",
        cost=words(ask.cost) if ask.cost else (say("Estimating..."),) if asked and not trouble else (),
        negative=_negative_counts(fields, plan.draft, ask.cards),
        quality=plan.card is None or quality_option(plan.card) is not None,
    )


def engine_view(context: bpy.types.Context) -> EngineView:
    fields = versions.sequencer_scene(context).overpaint
    card = _plan(fields).card
    if card is None:
        return EngineView()
    names = tuple(option.name for option in card.options)
    changed = options.changed(fields).get(card.name, {})
    return EngineView(
        name=card.name,
        title=card.title,
        description=card.description,
        licence=card.licence,
        options=names,
        changed=frozenset(changed),
        unknown=tuple(name for name in changed if name not in names),
    )


def _plan(fields: Any) -> _Plan:
    draft, ask = fields.draft(), asking.current()
    try:
        selections = session.current().timeline.read_selections()
    except OverpaintError as error:
        return _Plan(draft=draft, trouble=error)
    if not ask.cards:
        return _Plan(draft=draft.suppose(selections[0]), selections=selections, trouble=ask.error)
    plans = [_plan_one(draft, one, ask.cards) for one in selections]
    trouble = next((plan.trouble for plan in plans if plan.trouble), None)
    return replace(plans[0], selections=selections, trouble=trouble)


def _plan_one(draft: Draft, selection: Selection, cards: Sequence[EngineCard]) -> _Plan:
    given = draft.given(selection)
    try:
        chosen, card = draft.choose(cards, given)
    except OverpaintError as error:
        named = next((card for card in cards if card.name == draft.engine), None)
        return _Plan(draft=draft.suppose(selection), card=named, trouble=error)
    assert chosen.task is not None
    for problem in check_task(chosen.task, given, card):
        error = Invalid(field=problem.field, message=problem.message, remedy=problem.remedy)
        return _Plan(draft=chosen, card=card, trouble=error)
    return _Plan(draft=chosen, card=card)


def _negative_counts(fields: Any, draft: Draft, cards: Sequence[EngineCard]) -> bool:
    """Whether the engine honours a negative prompt; one that is filled in is shown all the same: it would be refused."""
    named = fields.draft().engine
    able = [card for card in cards if named in ("", card.name) and (named or card.rank >= 0) and not card.obstacle]
    rules = [card.rule(draft.task) for card in able] if draft.task else []
    honoured = any(rule is not None and Input.NEGATIVE_PROMPT in rule.honours for rule in rules)
    return honoured or bool(fields.negative_prompt) or not cards
