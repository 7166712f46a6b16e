"""Fill in the main panel of the installed extension, and look at what it shows and sends."""

from __future__ import annotations

import importlib
import json
import os
import signal
import time
from types import SimpleNamespace
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import painting
import recording
import stage

SOON = 90.0  # seconds


def room(name: str) -> Any:
    """A module of the installed add-on."""
    return importlib.import_module(f"{painting.NAME}.{name}")


def panel(name: str = "edit", width: int = 0) -> recording.Layout:
    """What a panel draws, at the region's usual width or another."""
    context = bpy.context
    if width:
        context = SimpleNamespace(
            region=SimpleNamespace(width=width),
            preferences=bpy.context.preferences,
            window=bpy.context.window,
            window_manager=bpy.context.window_manager,
        )
    return recording.drawn(getattr(room("ui.panels"), f"OVERPAINT_PT_{name}"), context)


def settled() -> recording.Layout:
    """What the panel shows when all questions are answered."""
    ask, stop = room("ui.asking").current(), time.monotonic() + SOON
    while True:
        shown = panel()
        if (ask.cards or ask.error) and "Estimating..." not in shown.shown:
            return shown
        assert time.monotonic() < stop, shown.shown
        ask.pump.tick()
        time.sleep(0.01)


def button(shown: recording.Layout) -> str:
    return shown.buttons["overpaint.paint"]


def said(shown: recording.Layout) -> str:
    """All words in one line, as they were before they were broken."""
    return " ".join(shown.shown)


def automatic(extension: str, media: str, server: str) -> dict[str, Any]:
    """What the button says for what is given, while nothing is chosen."""
    painting.install(extension, server)
    scene, _ = painting.edit(media)
    fields: Any = scene.overpaint
    fields.engine = fields.task = "automatic"
    fields.prompt = ""
    found: dict[str, Any] = {"before the server was asked": button(panel())}
    found["mask"] = button(settled())
    fields.engine, fields.prompt = "toy", "a red coat"
    found["mask and prompt"] = button(settled())
    fields.task = "add"
    found["chosen"] = button(settled())
    fields.engine = "automatic"
    fields.task = "generate"
    shown = settled()
    found["nobody can"] = [button(shown) in shown.off, "The engine vires could do this, but" in said(shown)]
    fields.task, fields.mask, fields.engine = "automatic", None, "toy"
    shown = settled()
    found["no mask"] = [button(shown) in shown.off, "the engine toy needs a mask, and none is given" in said(shown)]
    return found


def scripted(extension: str, media: str, server: str) -> dict[str, Any]:
    """Fields that a script sets before anything was asked, and an engine that the server lacks."""
    painting.install(extension, server)
    scene, _ = painting.edit(media)
    fields = scene.overpaint
    fields.engine, fields.task, fields.prompt = "flow", "remove", ""
    found = {"choice": fields.engine_choice, "draft": [fields.draft().engine, fields.draft().task]}
    settled()
    fields.engine_choice = "toy"
    found["chosen in the menu"] = fields.engine
    fields.engine = "nobody"
    shown = settled()
    found["lacking"] = [
        fields.engine_choice,
        button(shown) in shown.off,
        "has no engine 'nobody'. Choose" in said(shown),
    ]
    fields.engine_choice = "automatic"
    found["automatic"] = [fields.engine, fields.draft().engine]
    return found


def choices(extension: str, media: str, server: str) -> bool:
    """Whether the strings of the engine's menu stay where they are, however often it is asked for: Blender holds none of its own."""
    painting.install(extension, server)
    scene, _ = painting.edit(media)
    settled()
    first, again = (
        [one for item in list(room("ui.properties")._engines(scene.overpaint)) for one in item[:3]] for _ in "12"
    )
    assert "Toy" in first and any("Not now" in one for one in first), first
    return all(one is other for one, other in zip(first, again, strict=True))


def options(extension: str, media: str, server: str) -> dict[str, Any]:
    """Options through the fields made from the card: kept, sent, reset; and the quality."""
    painting.install(extension, server)
    scene, _ = painting.edit(media)
    fields = scene.overpaint
    settled()
    shown = panel("engine")
    group = shown.props["steps"]
    steps = group.bl_rna.properties["steps"]
    found: dict[str, Any] = {
        "fields": [
            name for name in shown.shown if name in group.bl_rna.properties and name not in ("name", "rna_type")
        ],
        "steps": [group.steps, steps.hard_min, steps.hard_max, steps.default, steps.description],
        "nothing changed": dict(fields.draft().options),
    }
    group.steps, group.pattern, group.invert, group.strength = 2, "stripes", True, 0.1
    found["changed"] = fields.draft().options["toy"]
    bpy.ops.overpaint.paint()
    (take,) = (one for one in scene.sequence_editor.strips if one.name != "source")
    sent = json.loads(take["overpaint"])["edit"]["options"]
    found["sent"] = {name: next(iter(value.values())) for name, value in sent.items()}
    group.steps = 5000
    found["within bounds"] = group.steps
    found["resets"] = panel("engine").shown.count("[]")
    bpy.ops.overpaint.reset_option(engine="toy", option="steps")
    fields.quality = "draft"
    found["draft"] = [group.steps, "steps" in fields.draft().options["toy"]]
    bpy.ops.overpaint.reset_option(engine="toy")
    found["reset"] = [dict(fields.draft().options), group.pattern, group.invert]
    room("ui.options").change(fields, "toy", "gone", 3)
    found["unknown"] = [one for one in panel("engine").shown if "Gone" in one]
    panel("engine").props["steps"].steps = 9
    bpy.ops.preferences.addon_disable(module=painting.NAME)
    bpy.ops.preferences.addon_enable(module=painting.NAME)
    os.environ["OVERPAINT_SERVER"] = server  # the preferences went with the add-on
    settled()
    found["enabled again"] = panel("engine").props["steps"].steps
    return found


def cost(extension: str, media: str, server: str) -> dict[str, Any]:
    """What it takes, as the server reckons; and what the server refuses."""
    painting.install(extension, server)
    scene, _ = painting.edit(media)
    bpy.ops.overpaint.paint()  # from now on the server knows how long it takes
    scene.sequence_editor.active_strip = scene.sequence_editor.strips["source"]
    shown = settled()
    found: dict[str, Any] = {
        "cost": [one for one in shown.shown if one.endswith(("96x64", "to send")) or one.startswith("About")]
    }
    ask = room("ui.asking").current()
    asked = ask._question
    scene.overpaint.seed = 7
    settled()
    found["asked again for a seed"] = ask._question is not asked
    room("ui.options").change(scene.overpaint, "toy", "steps", 0)
    shown = settled()
    found["refused"] = [button(shown) in shown.off, "0 cannot be taken. steps is a whole number" in said(shown)]
    return found


def away(extension: str, media: str) -> list[str]:
    """What is shown where no server answers."""
    painting.install(extension, "127.0.0.1:9")
    painting.edit(media)
    shown = settled()
    return [*(one for one in shown.shown if "answers" in one), *shown.off]


def unanswered(extension: str, media: str, server: str, process: int) -> dict[str, Any]:
    """Tick while the server stands still: first asked for its cards, then for the cost. A tick that waited for the answer
    would get none before the call is given up, and then there is an error."""
    painting.install(extension, server)
    scene, _ = painting.edit(media)
    ask = room("ui.asking").current()

    def ticked() -> None:
        os.kill(process, signal.SIGSTOP)
        try:
            for _ in range(20):
                panel()
                ask.pump.tick()
                time.sleep(0.06)
        finally:
            os.kill(process, signal.SIGCONT)

    ticked()
    found: dict[str, Any] = {"cards": [ask.pump.doing() is not None, ask.cards, ask.error and str(ask.error)]}
    settled()
    room("ui.options").change(scene.overpaint, "toy", "steps", 7)
    ticked()
    found["cost"] = [ask.pump.doing() is not None, ask.cost, ask.refusal and str(ask.refusal)]
    return found | {"then": "8 frames, 1 window of 96x64" in settled().shown}


def several(extension: str, media: str, server: str) -> dict[str, Any]:
    """Two strips and a take selected: the button paints the strips, each as a job of its own."""
    painting.install(extension, server)
    scene, first = painting.edit(media)
    second = stage.add(scene.sequence_editor.strips, f"{media}/png8", start=30, name="second")
    first.select = True
    words = button(settled())
    assert bpy.ops.overpaint.paint() == {"FINISHED"}
    takes = [one for one in scene.sequence_editor.strips if "overpaint" in one]
    for take in takes:
        take.select = True
    again = button(settled())
    first.select = False
    return {
        "words": words,
        "takes": sorted(int(take.frame_start) for take in takes),
        "with takes selected": again,
        "one": button(settled()),
        "second is active": scene.sequence_editor.active_strip == second,
    }


def seeds(extension: str, media: str, server: str) -> dict[str, Any]:
    """What pressing the button does to the seed, and what a script's call does."""
    session = painting.install(extension, server)
    scene, _ = painting.edit(media)
    fields = scene.overpaint
    fields.seed = 5
    bpy.ops.overpaint.paint()
    found: dict[str, Any] = {"script": [fields.seed, fields.last_seed]}
    operator = room("ui.operators").OVERPAINT_OT_paint
    # What Blender hands to invoke is an operator that it made itself; the class without it has all that a press needs.
    press = type("Press", (room("ui.long").Long,), {"begin": operator.begin, "report": print})()
    assert operator.invoke(press, bpy.context, None) == {"FINISHED"}
    found["press"] = [fields.seed != 5, fields.last_seed, [one for one in panel().shown if "Last seed" in one]]
    fields.seed, fields.lock_seed = 6, True
    operator.invoke(press, bpy.context, None)
    found["locked"] = [fields.seed, fields.last_seed]
    while session.runs:
        session.pump.tick()
        time.sleep(0.01)
    source = scene.sequence_editor.strips["source"]
    found["takes"] = sorted(one.take.seed for one in room("host.variants").remembered(source))
    return found


def states(extension: str, media: str, server: str) -> dict[str, Any]:
    """The panels in several states; a layout that takes only what exists draws them."""
    painting.install(extension, server)
    stage.sequencer()
    empty = panel()
    found: dict[str, Any] = {
        "no strip": [empty.off, "No strip is active in the sequencer of Scene. Click" in said(empty)]
    }
    scene, _ = painting.edit(media)
    found["no card"] = panel("engine").shown
    scene.overpaint.engine = "vires"
    scene.overpaint.prompt = "a very long prompt " * 20
    labels = {}
    settled()
    for width in (300, 1000):
        shown = panel(width=width)
        labels[width] = [one for one in shown.shown if one not in scene.overpaint.bl_rna.properties and one[:1] != "["]
    found["longest"] = [max(map(len, labels[300])) <= 40, len(labels[300]) > len(labels[1000])]
    narrow = panel(width=190)
    found["narrow"] = [button(narrow), "With VIRES" in narrow.shown]
    found["advanced"] = panel("advanced").shown
    scene.overpaint.engine, scene.overpaint.task, scene.overpaint.prompt = "flow", "remove", ""
    shown = settled().shown
    found["without negative and quality"] = ["negative_prompt" in shown, "quality" in shown]
    scene.overpaint.negative_prompt = "blur"
    shown = settled()
    found["a negative prompt that would be refused"] = ["negative_prompt" in shown.shown, button(shown) in shown.off]
    return found


def keys(extension: str) -> dict[str, Any]:
    """The add-on's keys, enabled and disabled, and what its preferences show of them."""
    import rna_keymap_ui  # pyright: ignore[reportMissingImports]

    keymaps = bpy.context.window_manager.keyconfigs.addon.keymaps

    def ours() -> list[str]:
        items = (item for keymap in keymaps for item in keymap.keymap_items)
        return [item.to_string() for item in items if item.idname == "overpaint.paint"]

    painting.install(extension, "127.0.0.1:9")
    bpy.context.window_manager.keyconfigs.update()
    found: dict[str, Any] = {"enabled": ours(), "preferences": []}
    rna_keymap_ui.draw_kmi = lambda *given: found["preferences"].append(given[3].idname)
    layout = SimpleNamespace(context_pointer_set=lambda name, value: None)
    room("ui.keymap").draw(layout, bpy.context)
    bpy.ops.preferences.addon_disable(module=painting.NAME)
    found["disabled"] = ours()
    bpy.ops.preferences.addon_enable(module=painting.NAME)
    return found | {"enabled again": ours()}
