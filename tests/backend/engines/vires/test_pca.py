import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from overpaint.errors import Invalid  # noqa: E402
from overpaint_backend.engines.vires.config import PCAConfig  # noqa: E402
from overpaint_backend.engines.vires.pca import BlockVAE  # noqa: E402

NUMBERS = 3 * 4 * 4 * 4


def orthonormal(channels: int) -> BlockVAE:
    torch.manual_seed(0)
    vae = BlockVAE(PCAConfig(latent_channels=channels, width=8))
    vae.basis.copy_(torch.linalg.qr(torch.randn(NUMBERS, NUMBERS))[0][:channels])
    vae.centre.normal_()
    vae.shift.normal_()
    vae.scale.uniform_(0.5, 2)
    return vae.eval().requires_grad_(False)


@pytest.mark.parametrize("frames", [1, 4, 17, 20, 51])
def test_with_all_components_a_video_comes_back(frames: int) -> None:
    vae, video = orthonormal(NUMBERS), torch.rand(2, 3, frames, 8, 12) * 2 - 1
    z = vae.encode(video)
    assert z.shape == (2, NUMBERS, vae.latent_frames(frames), 2, 3)
    torch.testing.assert_close(vae.decode(z, frames), video, atol=1e-4, rtol=0)


def test_the_error_is_what_the_components_do_not_hold() -> None:
    vae, video = orthonormal(16), torch.rand(1, 3, 16, 8, 8) * 2 - 1
    error = (vae.decode(vae.encode(video), 16) - video).square().sum()
    apart = vae.blocks(video) - vae.centre
    lost = apart.square().sum() - (apart @ vae.basis.T).square().sum()
    torch.testing.assert_close(error, lost, rtol=1e-4, atol=0)


def test_a_latent_knows_nothing_of_its_neighbours() -> None:
    vae, video = orthonormal(16), torch.rand(1, 3, 17, 16, 16)
    other = video.clone()
    other[..., 4:8, 4:8] = 0
    changed = (vae.encode(video) - vae.encode(other)).abs().amax((0, 1, 2)) > 0
    assert changed.nonzero().tolist() == [[1, 1]]


def test_a_sketch_counts_where_it_is_given_and_frames_in_parts_are_the_same() -> None:
    vae = orthonormal(16)
    torch.nn.init.normal_(vae.mender.leave.weight, std=0.1)
    z, lines = torch.randn(1, 16, 5, 2, 2), torch.rand(1, 3, 17, 8, 8)
    plain, drawn = vae.decode(z, 17), vae.decode(z, 17, lines)
    assert (plain - drawn).abs().max() > 1e-3
    vae.tile = 3
    torch.testing.assert_close(vae.decode(z, 17, lines), drawn, atol=1e-5, rtol=1e-5)


def test_what_does_not_fit_is_said() -> None:
    vae = orthonormal(16)
    with pytest.raises(Invalid, match="multiples of 4"):
        vae.encode(torch.zeros(1, 3, 17, 10, 8))
    with pytest.raises(Invalid, match="no frames"):
        vae.encode(torch.zeros(1, 3, 0, 8, 8))
    with pytest.raises(Invalid, match="5 latent frames"):
        vae.decode(torch.zeros(1, 16, 4, 2, 2), 17)
    with pytest.raises(Invalid, match="sketch"):
        vae.decode(torch.zeros(1, 16, 5, 2, 2), 17, torch.zeros(1, 3, 17, 4, 4))
