"""One meta strip for an edit: the source and its takes, that move and are cut together from then on."""

from __future__ import annotations

from typing import Any

from overpaint.errors import Invalid

from . import preview, stack, takes, variants, versions


def gather(scene: Any, source: Any) -> Any:
    """Put the source, the effects over it and the strips of its takes into one new meta strip, in the source's channel.

    It shows what was shown, on the same frames. Sound stays where it is. Raises Invalid where an effect shows another
    strip too, since that one would lose its input.
    """
    preview.clear(scene)  # it would stay behind
    holder, lowest = stack.owner(scene, source), source.channel
    inside = [source, *stack.effects(scene, source), *variants.strips_of(scene, source)]
    _check(holder, inside)
    start = min(versions.start_of(one) for one in inside)
    stop = max(versions.stop_of(one) for one in inside)
    channels = {one.name: one.channel for one in inside}
    free = takes.free_channel(scene, max(inside, key=lambda one: one.channel), start, stop)
    meta = holder.strips.new_meta(f"{source.name} edit", free, start)
    for one in inside:
        one.move_to_meta(meta)
    for one in inside:  # they come in one channel each, not in their own
        one.channel = channels[one.name] - lowest + 1
    # Until 4.5 a meta strip learns what is in it when a handle in there is set; else it holds its first picture.
    versions.set_handles(source, versions.start_of(source), versions.stop_of(source))
    versions.set_handles(meta, start, stop)
    meta.channel = lowest
    scene.sequence_editor.active_strip = meta
    return meta


def _check(holder: Any, inside: list[Any]) -> None:
    for other in holder.strips:
        inputs = [getattr(other, name, None) for name in ("input_1", "input_2")]
        if other not in inside and any(one in inside for one in inputs if one is not None):
            raise Invalid(
                field="strip",
                message=f"the effect {other.name} shows one of the strips and would lose it",
                remedy="Put that effect into a meta strip with them by hand, or remove it",
            )
