"""The autoencoder against the official code's numbers, and what is decoded in a stream against all at once."""

import ast
from contextlib import ExitStack
from pathlib import Path

import pytest
from overpaint.errors import Invalid
from overpaint_backend.engines.vires.config import VAEConfig

torch = pytest.importorskip("torch", reason="needs the extra `engines`")
pytest.importorskip("diffusers", reason="needs the extra `engines`")

from overpaint_backend.engines.vires.vae import VideoVAE, draw  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

pytestmark = pytest.mark.torch

SHARED = Path(__file__).parents[4] / "../shared"
FIXTURES = SHARED / "fixtures/vires"
KEYS = SHARED / "design/vires_vae_keys.txt"
TINY = VAEConfig(spatial_widths=(8, 16, 16, 16), spatial_groups=4, temporal_width=8, temporal_groups=4)


@pytest.fixture(autouse=True)
def without_gradients_on_one_thread():
    """Threads wait for each other longer than such small layers take, a hundred times longer on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


@pytest.fixture
def vae() -> VideoVAE:
    torch.manual_seed(1)
    return VideoVAE(TINY).eval()


@pytest.fixture
def official() -> VideoVAE:
    if not FIXTURES.is_dir():
        pytest.skip(f"the official code's numbers are not at {FIXTURES}")
    vae = VideoVAE(TINY).eval()
    weights = load_file(FIXTURES / "vae_tiny_weights.safetensors")
    vae.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return vae


@pytest.fixture
def numbers(official) -> dict:
    return {name: value.float() for name, value in load_file(FIXTURES / "vae_tiny_io.safetensors").items()}


def video(frames: int, seed: int = 0, height: int = 16, width: int = 24):
    return torch.rand(1, 3, frames, height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def near(got, wanted, within: float = 1e-4) -> None:
    assert got.shape == wanted.shape
    assert (got - wanted).abs().max() <= within


def test_keys_and_shapes_are_the_published_ones():
    if not KEYS.is_file():
        pytest.skip(f"the list of published keys is not at {KEYS}")
    published = dict(line.split("\t") for line in KEYS.read_text().splitlines())
    with torch.device("meta"):
        vae = VideoVAE(VAEConfig())
    assert {name: tuple(value.shape) for name, value in vae.state_dict().items()} == {
        name: ast.literal_eval(shape) for name, shape in published.items()
    }


def test_encodes_as_the_official_code(official, numbers):
    clip = numbers["in.video"]
    near(official.spatial_vae.encode(clip[0].transpose(0, 1)[:4]), numbers["spatial_moments_first4frames"])
    flat = official.encode_frames(official.spatial_vae, clip, None)
    near(flat, numbers["spatial_latent_x0.18215_mode"])
    for at, part in enumerate((flat[:, :, :17], flat[:, :, 17:])):
        near(official.temporal_vae.encode(official.lengthen(part)), numbers[f"temporal_moments_chunk{at}"])
    near(official.encode(clip), numbers["encode"])


def test_decodes_as_the_official_code(official, numbers):
    z = numbers["encode"]
    raw = z * official.scale + official.shift
    chunks = [official.temporal_vae.decode(part, [])[:, :, 3:] for part in (raw[:, :, :5], raw[:, :, 5:])]
    near(torch.cat(chunks, 2), numbers["decode_temporal_only"])
    near(official.decode(z, 22), numbers["decode_plain"])


def test_sees_a_sketch_as_the_official_code(official, numbers):
    sketch = numbers["in.sketch"]
    for at, tap in enumerate(official.sketch_vae.taps_2d(sketch[0].transpose(0, 1)[:2])):
        near(tap, numbers[f"tap2d.batch0.{at}"])
    flat = official.encode_frames(official.sketch_vae, sketch, None)
    for at, tap in enumerate(official.sketch_vae.taps_3d(official.lengthen(flat[:, :, 17:]))):
        near(tap, numbers[f"tap3d.chunk1.{at}"])
    near(official.decode(numbers["encode"], 22, sketch), numbers["decode_with_sketch"])


def residual_blocks_2d(part) -> tuple[list, list, list]:
    """Of one of diffusers' halves: the levels' blocks, and those in the middle."""
    levels = [list(level.resnets) for level in getattr(part, "down_blocks", None) or part.up_blocks]
    return levels, list(part.mid_block.resnets), [block for level in levels for block in level]


def watched(run, blocks: list) -> list:
    """What comes out of each block while `run()` runs."""
    outputs = []
    with ExitStack() as hooks:
        for block in blocks:
            hooks.enter_context(block.register_forward_hook(lambda module, given, out: outputs.append(out)))
        run()
    return outputs


def added(run, blocks: list, taps: list):
    """The result of `run()` where every block's output has its tap added."""
    with ExitStack() as hooks:
        for block, tap in zip(blocks, taps, strict=True):
            hooks.enter_context(block.register_forward_hook(lambda module, given, out, tap=tap: out + tap))
        return run()


def decode_at_once(vae, z, frames: int, sketch):
    """All taps of all frames first, put in by hooks; diffusers and the 3D parts run as they are, with no taps of ours."""
    half, module = vae.sketch_vae, vae.spatial_vae.module
    pictures = sketch[0].transpose(0, 1)
    _, middle, down = residual_blocks_2d(half.encoder_2d)
    seen = watched(lambda: half.encoder_2d(pictures), down + middle)
    flat_taps = [conv(out) for conv, out in zip(half.zero_conv_2d, seen, strict=True)]
    lines = half.quant_conv_2d(half.encoder_2d(pictures))[:, :4].transpose(0, 1)[None] * 0.18215

    def blocks_3d(levels):
        return [block for level in levels for block in level]

    parts, at = [], 0
    for start in range(0, frames, 17):
        chunk = lines[:, :, start : start + 17]
        length = chunk.shape[2]
        chunk = torch.cat([torch.zeros(1, 4, -length % 4, *chunk.shape[3:]), chunk], 2)
        encoder, decoder = half.encoder_3d, vae.temporal_vae.decoder
        order = blocks_3d(encoder.block_res_blocks) + list(encoder.res_blocks)
        seen = watched(lambda chunk=chunk, encoder=encoder: encoder(chunk), order)
        taps = [conv(out) for conv, out in zip(half.zero_conv_3d, seen, strict=True)]
        piece = z[:, :, at : at + chunk.shape[2] // 4] * vae.scale + vae.shift
        at += piece.shape[2]
        order = list(decoder.res_blocks) + blocks_3d(reversed(decoder.block_res_blocks))
        out = added(lambda piece=piece: vae.temporal_vae.decode(piece, []), order, taps[::-1])
        parts.append(out[:, :, -length:])
    flat = torch.cat(parts, 2)[0].transpose(0, 1) / 0.18215
    levels, middle, _ = residual_blocks_2d(module.decoder)
    order = middle + [block for level in levels for block in level[:-1]]
    out = added(lambda: module.decode(flat).sample, order, flat_taps[::-1])
    return out.transpose(0, 1)[None]


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (22, 7), (51, 15)])
def test_a_streamed_decode_is_one_of_all_at_once(vae, frames, latents):
    sketch = video(frames, seed=1)
    z = vae.encode(video(frames))
    assert z.shape == (1, 4, latents, 2, 3)
    got = vae.decode(z, frames, sketch)
    near(got, decode_at_once(vae, z, frames, sketch))
    assert (got - vae.decode(z, frames)).abs().max() > 0.01


@pytest.mark.parametrize("tile", [1, 3, 100])
def test_frames_at_once_change_no_result(vae, tile):
    z, clip, sketch = vae.encode(video(22)), video(22), video(22, seed=1)
    wanted = vae.decode(z, 22, sketch, torch.Generator().manual_seed(3))
    vae.tile = tile
    near(vae.decode(z, 22, sketch, torch.Generator().manual_seed(3)), wanted)
    near(vae.encode(clip), z)


def test_no_more_frames_are_in_space_at_once_than_allowed(vae):
    module, taken = vae.spatial_vae.module, {}
    for name, part in (("sketch", vae.sketch_vae.encoder_2d), ("out", module.decoder), ("in", module.encoder)):
        first = part.conv_in
        first.register_forward_pre_hook(lambda _, given, name=name: taken.setdefault(name, []).append(len(given[0])))
    vae.decode(vae.encode(video(22)), 22, video(22, seed=1))
    chunk, rest = [4, 4, 4, 4, 1], [4, 1]
    assert taken == {"in": chunk + rest, "sketch": chunk + chunk + rest + rest, "out": chunk + rest}


def test_clips_of_a_batch_do_not_mix(vae):
    clips, sketches = (torch.cat([video(5, seed=seed), video(5, seed=seed + 1)]) for seed in (0, 7))
    z = vae.encode(clips)
    both = vae.decode(z, 5, sketches)
    for at in range(2):
        near(z[at : at + 1], vae.encode(clips[at : at + 1]))
        near(both[at : at + 1], vae.decode(z[at : at + 1], 5, sketches[at : at + 1]))


def test_every_chunk_is_encoded_on_its_own(vae):
    clip = video(51)
    near(vae.encode(clip)[:, :, 5:10], vae.encode(clip[:, :, 17:34]))


@pytest.mark.parametrize(
    ("frames", "latents"), [(1, 1), (4, 1), (5, 2), (17, 5), (18, 6), (34, 10), (51, 15), (81, 24)]
)
def test_a_chunk_rounds_its_latent_frames_up(vae, frames, latents):
    assert vae.latent_frames(frames) == latents


def test_a_sample_is_the_seed_s(vae):
    def sampled(seed):
        return vae.encode(video(18), torch.Generator().manual_seed(seed))

    assert torch.equal(sampled(1), sampled(1))
    assert not torch.equal(sampled(1), sampled(2))
    assert not torch.equal(sampled(1), vae.encode(video(18)))


def test_a_sample_has_the_posterior_s_mean_and_deviation():
    moments = torch.cat([torch.full((1, 4, 10, 20, 20), value) for value in (3.0, 2.0)], 1)
    sample = draw(moments, torch.Generator().manual_seed(0))
    assert sample.mean() == pytest.approx(3, abs=0.1)
    assert sample.std() == pytest.approx(torch.e, rel=0.03)
    assert torch.equal(draw(moments, None), moments[:, :4])


def test_what_does_not_fit_is_refused_in_words(vae):
    z = torch.zeros(1, 4, 7, 2, 3)
    with pytest.raises(Invalid, match="video: it is 20 x 16 pixels, and sides must be multiples of 8"):
        vae.encode(video(4, width=20))
    with pytest.raises(Invalid, match="video: it has no frames"):
        vae.encode(video(0))
    with pytest.raises(Invalid, match="frames: 17 frames have 5 latent frames, and 7 were given"):
        vae.decode(z, 17)
    with pytest.raises(Invalid, match="sketch: its clips, channels, frames, height and width are"):
        vae.decode(z, 22, video(21))


def test_channels_last_and_half_precision_work(vae):
    clip, sketch = video(5), video(5, seed=1)
    z, wanted = vae.encode(clip), vae.decode(vae.encode(clip), 5, sketch)
    for part in (vae.spatial_vae, vae.sketch_vae.encoder_2d, vae.sketch_vae.zero_conv_2d):
        part.to(memory_format=torch.channels_last)
    near(vae.decode(z, 5, sketch), wanted)
    half = vae.to(torch.bfloat16)
    assert half.scale[0, 0].item() == 3.84375  # the official code's constant is rounded too
    got = half.decode(half.encode(clip), 5, sketch)
    assert got.dtype == torch.bfloat16
    assert (got.float() - wanted).norm() < 0.1 * wanted.norm()
