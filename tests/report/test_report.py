"""The page and the terminal table of a comparison, of a made-up report whose winners are known."""

import copy
import math
import re
from html import unescape

import pytest
import torch
from rich.console import Console

from pofx.data.pictures import save_grid
from pofx.report import Pictures, game_of, summary_table, winners, write_report

NO_DENSITY = "gan has no log_prob: its density is implicit, it can only be sampled."
NO_CODES = "markov has no encode. Models with features: nade, vae."


def estimate(value, stderr=None, n=300, unit="share", **more):
    return {"value": value, "stderr": stderr, "n": n, "unit": unit, **more}


def area(value):
    return estimate(value, 0.01, 600, "probability", by_corruption={"noise": value, "patch": value - 0.1})


def model(density, log_likelihood, frechet, area, probe, seconds, why):
    bits = log_likelihood and estimate(-log_likelihood["value"] / 64 / 0.693, 0.01, unit="bits/dim")
    return {
        "density": density, "parameters": 1234, "log_likelihood": log_likelihood, "bits_per_dim": bits,
        "frechet": estimate(frechet, 0.2, 597), "precision": estimate(0.8, 0.02, 597), "recall": estimate(0.7, 0.02, 597),
        "coverage": estimate(0.6, 0.02, 597), "modes": None, "anomaly_auroc": area, "probe_accuracy": probe,
        "train_seconds": seconds, "samples_per_second": 1000 * seconds, "why": {"modes": "digits has no modes.", **why},
    }  # fmt: skip


@pytest.fixture
def report():
    def exact(value):
        return estimate(value, 0.25, unit="nats", kind="exact")

    bound = estimate(-16.5, 0.25, unit="nats", kind="lower bound", samples=100)
    without = {"log_likelihood": NO_DENSITY, "bits_per_dim": NO_DENSITY, "anomaly_auroc": "gan has no anomaly_score."}
    return {
        "pofx": "0.1.0", "created": "2026-11-22T10:00:00", "command": "pofx compare digits", "seed": 7, "machine": "A machine",
        "data": {
            "name": "digits", "description": "300 events of shape 1×8×8", "event_shape": [1, 8, 8], "support": "{0, 1}",
            "features": "Features of a classifier.", "feature_accuracy": estimate(0.976, 0.009, 297),
            "corruptions": {"noise": "a tenth redrawn", "patch": "a square inverted"},
            "raw_probe_accuracy": estimate(0.9, 0.01),
            "real": {
                "frechet": estimate(0.4, 0.05, 597), "precision": estimate(0.93, 0.01), "recall": estimate(0.93, 0.01),
                "coverage": estimate(0.97, 0.01),
            },
        },
        "models": {
            "markov": model("tractable", exact(-23.0), 44.1, area(0.83), None, 0.002, {"probe_accuracy": NO_CODES}),
            "nade": model("tractable", exact(-16.8), 2.3, area(0.96), estimate(0.95, 0.01), 12.3, {}),
            "vae": model("approximate", bound, 2.6, area(0.90), estimate(0.86, 0.01), 9.8, {}),
            "gan": model("implicit", None, 7.9, None, estimate(0.80, 0.01), 31.7, without),
        },
    }  # fmt: skip


@pytest.fixture
def pictures():
    x = torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    points, labels = x.flatten(1)[:, :2], torch.arange(9) % 3
    return Pictures(
        real=x,
        samples=dict.fromkeys(("markov", "nade", "vae", "gan"), x),
        likely=dict.fromkeys(("markov", "nade", "vae"), x[:4]),
        unlikely=dict.fromkeys(("markov", "nade", "vae"), x[4:8]),
        maps={"nade": (points, labels), "vae": (points, None)},
        label_names=["zero", "one", "a & b"],
        curves={"nade": [(100.0, 30.0), (200.0, 20.0)], "gan": []},
    )


def page(report, pictures, folder):
    write_report(report, pictures, folder / "new" / "report.html")
    return (folder / "new" / "report.html").read_text(encoding="utf-8")


def row(html, name):
    return re.search(rf'<tr><th scope="row">{name}<.*?</tr>', html).group()


def test_the_page_needs_no_network_and_no_second_file(report, pictures, tmp_path):
    html = page(report, pictures, tmp_path)
    assert "http" not in html
    assert "$" not in html
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert all(source.startswith(("data:image/png;base64,", "#note-")) for source in sources)
    assert html.count("<img ") == 5 + 6 + 2 + 1  # samples and real, extremes, maps, curves
    assert len(html) < 500_000


def test_every_reason_is_given_once_and_every_dash_leads_to_it(report, pictures, tmp_path):
    html = page(report, pictures, tmp_path)
    notes = [unescape(note) for note in re.findall(r'<li id="note-\d">(.*?)</li>', html)]
    assert sorted(notes) == sorted({reason for m in report["models"].values() for reason in m["why"].values()})
    for dash in re.findall(r'<td class="none" title="(.*?)">–<sup><a href="#note-(\d)">', html):
        assert notes[int(dash[1]) - 1] == unescape(dash[0])
    assert html.count('<td class="none"') == 4  # markov's probe; gan's likelihood, bits and area


def test_a_figure_that_nobody_has_gets_no_column(report, pictures, tmp_path):
    assert ">Modes<" not in page(report, pictures, tmp_path)
    report["models"]["nade"]["modes"] = {"captured": 7, "of": 8, "high_quality": estimate(0.9, 0.01), "kl": 0.0}
    assert ">7/8</span>" in page(report, pictures, tmp_path)


def test_disentanglement_has_columns_where_the_data_have_factors(report, pictures, tmp_path):
    html = page(report, pictures, tmp_path)
    assert ">MIG<" not in html
    report["models"]["vae"]["disentanglement"] = {"mig": estimate(0.12), "beta_vae_score": estimate(0.96, 0.01, 500)}
    report["models"]["markov"]["why"]["disentanglement"] = "markov has no encode."
    html = page(report, pictures, tmp_path)
    assert ">MIG<" in html
    assert '<span class="value">0.12</span>' in row(html, "vae")
    assert '<span class="value">0.96</span><small>± 0.01</small>' in row(html, "vae")
    assert "markov has no encode." in html


def test_bounds_are_marked_and_never_best(report, pictures, tmp_path):
    html = page(report, pictures, tmp_path)
    assert "≥ −16.5" in row(html, "vae")
    assert "≤ 0.37" in row(html, "vae")
    assert 'class="best" data-value="-16.8"' in row(html, "nade")
    assert "≥" not in row(html, "nade")
    assert 'data-value="-16.5"' in row(html, "vae")
    assert 'class="best" data-value="-16.5"' not in html


def test_values_carry_their_standard_error_and_the_header_their_number(report, pictures, tmp_path):
    html = page(report, pictures, tmp_path)
    assert '<span class="value">95.0</span><small>± 1.0</small>' in row(html, "nade")
    assert '<span class="value">−23.0</span><small>± 0.2</small>' in row(html, "markov")
    assert '<th scope="col">Fréchet<small>↓</small><small>n = 597</small></th>' in html
    report["models"]["nade"]["frechet"]["n"] = 500
    html = page(report, pictures, tmp_path)
    assert '<th scope="col">Fréchet<small>↓</small></th>' in html
    assert "<small>n = 500</small>" in row(html, "nade")


def test_real_data_are_the_yardstick_and_never_best(report, pictures, tmp_path):
    yardstick = re.search(r"<tfoot>.*?</tfoot>", page(report, pictures, tmp_path), re.DOTALL).group()
    assert '<span class="value">0.40</span>' in yardstick
    assert '<span class="value">90.0</span>' in yardstick  # the probe on raw values
    assert "best" not in yardstick


def test_names_are_escaped(report, pictures, tmp_path):
    attack = '<script>alert("x")</script>'
    report["data"]["name"] = report["data"]["description"] = report["machine"] = attack
    report["models"][attack] = report["models"].pop("gan")
    pictures.samples[attack] = pictures.samples.pop("gan")
    html = page(report, pictures, tmp_path)
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    assert "a &amp; b" in html  # a label in the legend


def test_winners_name_the_best_at_each_use(report):
    density, generation, anomalies, representation, speed = winners(report)
    assert density.startswith("Density: nade has the highest exact log-likelihood, −16.8 ± 0.2 nats per event, ahead of markov")
    assert generation.startswith("Generation: nade has the lowest Fréchet distance")
    assert anomalies.startswith("Anomalies: nade has the highest AUROC")
    assert "two standard errors" not in anomalies
    assert "95.0 ± 1.0 %. Raw values reach 90.0 ± 1.0 %, clearly less." in representation
    assert speed == "Speed: markov trains fastest (< 0.1 s), gan samples fastest (31,700 events per second)."


def test_a_bound_is_quoted_but_not_ranked(report):
    density = winners(report)[0]
    assert "vae has at least −16.5 ± 0.2 nats (a lower bound), so its place among the others is open." in density
    assert "vae" not in density.partition(". ")[0]


def test_a_bound_above_every_exact_value_is_said_to_be(report):
    report["models"]["vae"]["log_likelihood"]["value"] = -12.0
    density = winners(report)[0]
    assert density.startswith("Density: nade has the highest exact log-likelihood")
    assert "already this bound is above every exact value" in density


def test_a_lead_within_the_standard_errors_is_no_win(report):
    generation = winners(report)[1]  # 2.3 ± 0.2 against 2.6 ± 0.2
    assert "its lead over vae is within two standard errors, no clear win" in generation
    report["models"]["vae"]["frechet"]["value"] = 4.0
    assert "standard errors" not in winners(report)[1]


def test_densities_of_real_values_are_not_ranked_among_probabilities(report):
    report["models"]["nade"]["bits_per_dim"] = None
    density = winners(report)[0]
    assert density.startswith("Density: markov alone has an exact log-likelihood to rank")
    assert "nade: a density of real values" in density
    report["models"]["vae"]["bits_per_dim"] = None
    assert "nade and vae: a density of real values" in winners(report)[0]
    assert "lower bound" not in winners(report)[0]


def test_impossible_events_and_missing_parts_are_no_obstacle(report, pictures, tmp_path):
    report["models"]["markov"]["log_likelihood"] |= {"value": -float("inf"), "stderr": None}
    assert "markov (−∞)" in winners(report)[0]
    assert "−∞" in page(report, pictures, tmp_path)
    only = copy.deepcopy(report) | {"models": {"gan": report["models"]["gan"]}}
    html = page(only, Pictures(real=pictures.real), tmp_path)
    assert "Training" in html
    assert "<h2>Representation</h2>" not in html
    assert not any(sentence.startswith("Density") for sentence in winners(only))


def test_points_are_drawn_and_tables_are_shown(report, tmp_path):
    points = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    html = page(report, Pictures(real=points, samples={"nade": points + 100}), tmp_path)
    assert html.count("<img ") == 2
    assert "50 of 50 lie outside the frame" in html
    rows = torch.tensor([[1.0, 0.25, 1.0], [2.0, -100.0, 2.0]])
    html = page(report, Pictures(real=rows, samples={"nade": rows}, column_names=["age", "<height>", "n"]), tmp_path)
    assert '<th scope="col">&lt;height&gt;</th>' in html
    assert html.count("<tr><td>2</td><td>−100</td><td>2</td></tr>") == 2


def test_large_colour_images_are_reduced_to_fit_the_page(report, tmp_path):
    x = torch.rand(64, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    assert len(page(report, Pictures(real=x, samples=dict.fromkeys(report["models"], x)), tmp_path)) < 1_500_000


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_table_fits_and_has_the_same_marks(report, width):
    console = Console(width=width)
    with console.capture() as capture:
        console.print(summary_table(report))
    text = capture.get()
    assert max(map(len, text.splitlines())) <= width
    assert "≥−16.5" in text
    assert "…" not in text
    assert all(name in text for name in (*report["models"], "real data"))


def record(*accuracies):
    lines = [
        {"step": 50 * i, "examples_seen": 5000 * i, "discriminator/accuracy_real": a, "discriminator/accuracy_fake": a,
         "discriminator/jsd": 0.3, "discriminator/gradient_norm": 1.0, "generator/gradient_norm": 100.0}
        for i, a in enumerate(accuracies, start=1)
    ]  # fmt: skip
    return [*lines, {"step": 100, "examples_seen": 10_000, "classes/of": 10, "classes/reached": 7.0, "classes/kl": 0.5}]


def test_a_game_is_told_from_its_record(tmp_path):
    for step in (50, 100):
        save_grid(torch.rand(4, 1, 8, 8), tmp_path / f"step-{step:06}.png")
    game = game_of(record(0.6, 0.9), ["At step 100 something is odd."], tmp_path)
    assert game.accuracies["accuracy on data"] == [(5000.0, 0.6), (10_000.0, 0.9)]
    assert game.accuracies["implied JSD / ln 2"][0][1] == pytest.approx(0.3 / math.log(2))
    assert game.gradients["generator"] == [(5000.0, 100.0), (10_000.0, 100.0)]
    assert (game.modes, game.of, game.kind) == ([(10_000, 7.0)], 10, "classes")
    assert [caption for caption, _ in game.pictures] == ["step 50", "step 100"]
    assert game_of([{"step": 1, "examples_seen": 5, "model/loss": 1.0}], [], None) is None


def test_pictures_at_the_end_of_stages_come_first(tmp_path):
    for name in ("step-000010.png", "step-000020-4px.png", "step-000030.png", "step-000040-8px.png"):
        save_grid(torch.rand(1, 1, 8, 8), tmp_path / name)
    assert [caption for caption, _ in game_of(record(0.5), [], tmp_path).pictures] == ["step 20, 4px", "step 40, 8px"]


def test_long_records_are_averaged(tmp_path):
    curve = game_of(record(*[0.4, 0.8] * 60), [], None).accuracies["accuracy on data"]
    assert len(curve) == 60
    assert all(value == pytest.approx(0.6) for _, value in curve)


def test_the_page_shows_games_copies_and_figures_of_pictures(report, pictures, tmp_path):
    for model in report["models"].values():
        model |= {"ms_ssim": estimate(0.31, 0.01), "sliced_wasserstein": estimate(20.5, None), "copies": estimate(0.0, 0.0)}
        model["modes"] = {"captured": 9, "of": 10, "kind": "classes", "n": 597, "kl": 0.05}
    report["data"]["real"] |= {"modes": {"captured": 10, "of": 10, "kind": "classes", "n": 597, "kl": 0.01}}
    pictures.copies["gan"] = torch.rand(3, 6, 1, 8, 8)
    write_report(report, pictures, tmp_path / "a.html", {"gan": game_of(record(0.6, 0.9), ["At step 100 <odd>."], None)})
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    for words in ("The game", "At step 100 &lt;odd&gt;.", "Copies", "MS-SSIM", "Sliced W.", "9/10", "10/10"):
        assert words in page
    assert "capture 9 of 10 classes." in " ".join(winners(report))
    write_report(report, pictures, tmp_path / "b.html")
    assert "The game" not in (tmp_path / "b.html").read_text(encoding="utf-8")
