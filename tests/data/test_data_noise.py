import torch

from pofx.data.noise import generator, mix, uniform


def test_seeds_differ_with_every_part_of_the_key():
    seeds = {mix(a, b) for a in range(50) for b in range(50)} | {mix(a) for a in range(50)}
    assert len(seeds) == 2550
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert mix(-1, 2**64 + 3) == mix(2**64 - 1, 3)


def test_generators_of_one_key_agree():
    assert torch.equal(torch.rand(5, generator=generator(1, 2)), torch.rand(5, generator=generator(1, 2)))


def test_rows_have_the_same_noise_however_they_are_read():
    whole = uniform(5, torch.arange(100), 7, bits=14)
    order = torch.randperm(100, generator=generator(0))
    pieces = torch.cat([uniform(5, piece, 7, bits=14) for piece in order.split(13)])
    assert torch.equal(pieces, whole[order])


def test_noise_is_uniform_uncorrelated_and_inside_the_open_interval():
    u = uniform(mix(9), torch.arange(200_000), 2, bits=23).double()
    assert u.min() > 0
    assert u.max() < 1
    n = u.numel()
    assert abs(u.mean() - 0.5) < 4 * (1 / 12 / n) ** 0.5
    assert abs(u.var() - 1 / 12) < 4 * (1 / 180 / n) ** 0.5
    counts = torch.histc(u, 100, 0, 1)
    assert ((counts - n / 100) ** 2 / (n / 100)).sum() < 149  # chi-squared, 99 degrees of freedom, p = 0.001
    for other in (u[:, 1], u[:, 0].roll(1), uniform(mix(10), torch.arange(200_000), 2, bits=23)[:, 0].double()):
        assert abs(torch.corrcoef(torch.stack([u[:, 0], other]))[0, 1]) < 4 / len(u) ** 0.5


def test_few_bits_give_midpoints_of_cells():
    u = uniform(0, torch.arange(1000), 3, bits=3)
    assert torch.equal(u.unique(), (torch.arange(8) + 0.5) / 8)
