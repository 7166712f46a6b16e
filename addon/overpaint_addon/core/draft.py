"""Draft: what the artist has filled in so far; resolved with the captured clip, it becomes a JobSpec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from overpaint.card import EngineCard, check_spec
from overpaint.clip import Clip
from overpaint.edit import Edit, Guide, Input, OptionValue, Task
from overpaint.errors import Invalid
from overpaint.job import JobSpec

from .ports import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The panel's fields. `sketch` says whether drawn lines are used; `grow` and `feather` shape the mask, in clip pixels."""

    engine: str
    task: Task
    prompt: str = ""
    negative_prompt: str = ""
    seed: int = 0
    sketch: bool = True
    grow: float = 0.0
    feather: float = 0.0
    options: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])

    def resolve(
        self, job_id: str, selection: Selection, frames: Sequence[str], guides: Sequence[Guide], card: EngineCard
    ) -> JobSpec:
        """The whole request. Raises Invalid with the first thing that keeps the engine from honouring it."""
        clip = Clip(size=selection.size, rate=selection.rate, depth=selection.depth, frames=tuple(frames))
        edit = Edit(
            task=self.task,
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            seed=self.seed,
            guides=tuple(self._shape(guide) for guide in guides if self.sketch or guide.kind is not Input.SKETCH),
            options=card.complete(dict(self.options)),
        )
        spec = JobSpec(id=job_id, engine=self.engine, clip=clip, edit=edit)
        for problem in check_spec(spec, card):
            raise Invalid(field=problem.field, message=problem.message, remedy=problem.remedy)
        return spec

    def _shape(self, guide: Guide) -> Guide:
        return replace(guide, grow=self.grow, feather=self.feather) if guide.kind is Input.MASK else guide
