"""Draft: what the artist has filled in so far; resolved with the captured clip, it becomes a JobSpec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from overpaint.card import EngineCard, check_spec
from overpaint.clip import Clip
from overpaint.edit import Edit, Guide, Input, Keyframe, OptionValue, Task, Track
from overpaint.errors import Invalid
from overpaint.job import JobSpec

from .choose import Quality, choose_card, choose_task, options_of
from .ports import Selection
from .roles import MaskSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The panel's fields. `sketch` says whether drawn lines are used; `grow` and `feather` shape the mask, in clip pixels.

    Without `engine` or `task` they are chosen after what is given. `options` holds what the artist changed, by engine.
    """

    engine: str = ""
    task: Task | None = None
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = 0
    sketch: bool = True
    grow: float = 0.0
    feather: float = 0.0
    quality: Quality = Quality.STANDARD
    options: Mapping[str, Mapping[str, OptionValue]] = field(default_factory=dict[str, Mapping[str, OptionValue]])

    def given(self, selection: Selection) -> frozenset[Input]:
        """The inputs that the fields and the selection give; whether a mask or sketch is empty, only a capture tells."""
        found = {
            Input.MASK: selection.mask_source is not MaskSource.NONE,
            Input.SKETCH: self.sketch and (selection.sketch_layers or selection.scene_lines),
            Input.TRACK: selection.track_layers,
            Input.KEYFRAME: selection.keyframes,
            Input.PROMPT: self.prompt.strip(),
            Input.NEGATIVE_PROMPT: self.negative_prompt.strip(),
        }
        return frozenset(one for one, there in found.items() if there)

    def suppose(self, selection: Selection) -> Draft:
        """With the task chosen: all that can be said without a server."""
        return replace(self, task=self.task or choose_task(self.given(selection)))

    def choose(self, cards: Sequence[EngineCard], given: frozenset[Input]) -> tuple[Draft, EngineCard]:
        """With task and engine chosen. Raises Missing or Invalid where there is no engine for it that can be used."""
        task = self.task or choose_task(given)
        card = choose_card(cards, self.engine, task, given)
        return replace(self, task=task, engine=card.name), card

    def resolve(
        self,
        job_id: str,
        selection: Selection,
        frames: Sequence[str],
        guides: Sequence[Guide],
        card: EngineCard,
        tracks: Sequence[Track] = (),
        keyframes: Sequence[Keyframe] = (),
    ) -> JobSpec:
        """The whole request of a chosen draft. Raises Invalid with the first thing that keeps the engine from honouring it."""
        clip = Clip(size=selection.size, rate=selection.rate, depth=selection.depth, frames=tuple(frames))
        edit = self.edit(guides, card, tracks, keyframes)
        spec = JobSpec(id=job_id, engine=card.name, clip=clip, edit=edit)
        for problem in check_spec(spec, card):
            raise Invalid(field=problem.field, message=problem.message, remedy=problem.remedy)
        return spec

    def edit(
        self,
        guides: Sequence[Guide],
        card: EngineCard,
        tracks: Sequence[Track] = (),
        keyframes: Sequence[Keyframe] = (),
    ) -> Edit:
        """What a chosen draft asks of a clip with these guides."""
        assert self.task is not None, "choose first"
        return Edit(
            task=self.task,
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            seed=self.seed,
            guides=tuple(self._shape(guide) for guide in guides if self.sketch or guide.kind is not Input.SKETCH),
            tracks=tuple(tracks),
            keyframes=tuple(keyframes),
            options=options_of(card, self.quality) | dict(self.options.get(card.name, {})),
        )

    def _shape(self, guide: Guide) -> Guide:
        return replace(guide, grow=self.grow, feather=self.feather) if guide.kind is Input.MASK else guide
