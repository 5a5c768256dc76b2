"""The benchmark suite's own machinery: ratios and their spread, references, verdicts, tables, pictures, README."""

import json
from dataclasses import replace

import numpy as np
import pytest

import qfast
from benchmarks import __main__ as command
from benchmarks.assembly import inner_loop
from benchmarks.growth import AXES, check_jumps, jumps, points
from benchmarks.machine import about, cache_sizes, describe, environment
from benchmarks.references import LEARNERS, wanted
from benchmarks.results import Results, merge
from benchmarks.sections import n_agents_for
from benchmarks.tables import explain, put_into_readme, readme_block, report
from benchmarks.targets import verdicts
from benchmarks.timing import Ratio, at_least, interleave, ratio
from benchmarks.variants import (
    DEFAULT,
    FEW_EPISODES,
    VARIANTS,
    cases,
    check_trained,
    expected_of,
    problem,
    reference_key,
    train,
)
from benchmarks.whole import peak_memory
from benchmarks.workloads import BUILDERS, WrongAnswer, workload


def made_up(*, faster=20.0, rounds=5, noise=0.01):
    """Results of a run that never was, with numbers that are easy to divide."""

    def around(value):
        return [value * (1 + noise * (i - rounds // 2)) for i in range(rounds)]

    peers = {"plain_numba": 1e6, "jax_batched": 4e6}
    throughput = {
        name: {
            "rates": {"q_learning": [faster * 1e6] * rounds}
            | {peer: around(rate) for peer, rate in peers.items()}
            | {"numpy_batched": [2e6] + [None] * (rounds - 1)},
            "agents": {"q_learning": 256},
        }
        for name in BUILDERS
    }
    variants = {
        name: {"rates": {v: around(1e8 if v == DEFAULT.name else 5e7) for where, v in cases() if where == name}}
        for name in BUILDERS
    }
    growth = {
        axis.name: [
            {"series": series, "x": x, "agents": 64, "working_set": 1_024 * x, "ns": around(1.0 if x < 1_025 else 3.0)}
            for series, x in axis.chosen("full")
        ]
        for axis in AXES.values()
    }
    facts = about()
    facts["machine"]["caches"] = {"L1": 48 << 10, "L2": 1 << 20, "L3": 32 << 20}
    return Results(
        {
            "about": facts,
            "mode": "full",
            "seconds": 600.0,
            "throughput": throughput,
            "variants": variants,
            "growth": growth,
            "compile": {"seconds": {"W1, q_learning": [2.5, 2.4], "W3, ucb": [6.0, 4.0]}, "added": 0},
            "start_up": {"train": around(0.9), "trivial": around(0.6)},
            "titles": {"train": "qfast train", "trivial": "one cached function"},
            "whole": {"W1": {"agents": 10, "seconds": {"qfast": around(1.0), "jax_batched": around(2.5)}}},
            "memory": [{"title": "W1", "peak": 200 * 10**6, "results": 80 * 10**6, "above": 120 * 10**6}],
        }
    )


# ---------------------------------------------------------------- ratios
def test_ratio_is_taken_round_by_round():
    found = ratio([10.0, 40.0, 90.0], [1.0, 2.0, 3.0])
    assert (found.middle, found.low, found.high) == (20.0, 10.0, 30.0)
    assert found.agrees(Ratio(40.0, 30.0, 50.0))
    assert not found.agrees(Ratio(40.0, 31.0, 50.0))


def test_interleave_lets_each_contender_go_first():
    order = []
    names = ["a", "b", "c"]
    found = interleave({name: lambda name=name: order.append(name) or len(order) for name in names}, 3)
    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert found == {"a": [1, 6, 8], "b": [2, 4, 9], "c": [3, 5, 7]}


def test_short_measurements_are_repeated_until_they_are_long_enough():
    calls = iter([(10, 0.4), (20, 0.4), (30, 0.4), (40, 0.4)])
    assert at_least(1.0, lambda: next(calls)) == pytest.approx(60 / 1.2)
    assert next(calls) == (40, 0.4)


def test_peers_that_skip_rounds_are_compared_in_those_they_ran():
    results = made_up(faster=20.0)
    assert results.versus("W1", "numpy_batched") == Ratio(10.0, 10.0, 10.0, rounds=1)
    assert results.versus("W1", "gymnasium_loop") is None
    assert results.rate("W1", "numpy_batched").middle == 2.0


def test_sessions_are_put_behind_each_other():
    first = {"W1": {"rates": {"a": [1.0, None]}, "agents": {"a": 64}}}
    second = {"W1": {"rates": {"a": [2.0, None]}, "agents": {"a": 128}}}
    assert merge(first, second) == {"W1": {"rates": {"a": [1.0, None, 2.0, None]}, "agents": {"a": 64}}}
    data = {}
    for session in range(2):
        command.merge_in(data, "growth", {"threads": [{"x": 1, "ns": [session]}]}, again=session > 0)
    command.merge_in(data, "growth", {"states": [{"x": 5, "ns": [7]}]}, again=False)
    assert data["growth"] == {"threads": [{"x": 1, "ns": [0, 1]}], "states": [{"x": 5, "ns": [7]}]}


# ---------------------------------------------------------------- right answers
def test_every_measurement_has_a_reference():
    for name, variant in cases():
        assert expected_of(workload(name), VARIANTS[variant].answer).steps.mean > 0
    for name, episodes in FEW_EPISODES.items():
        assert expected_of(replace(workload(name), episodes=episodes)).steps.mean > 0
    for _, x in AXES["episodes"].chosen("full"):
        assert expected_of(replace(workload("W1"), episodes=x)).steps.mean > 0
    assert {answer for _, answer in wanted()} == set(LEARNERS)
    with pytest.raises(LookupError, match="no reference for 'W1, 7 episodes, q_learning'"):
        expected_of(replace(workload("W1"), episodes=7))


@pytest.mark.parametrize("name", BUILDERS)
def test_references_agree_with_those_of_the_plain_numba_loop(name):
    """Two independent learners, each with its slack of four standard errors."""
    given = workload(name)
    found, known = expected_of(given), given.expected[given.ties]
    for what in ("start_value", "steps", "greedy_return"):
        one, other = getattr(found, what), getattr(known, what)
        assert abs(one.mean - other.mean) <= one.slack + other.slack, what


def test_sarsa_references_are_the_exact_fixed_point_on_the_corridor():
    exact = qfast.exact.soft_fixed_point(problem("W1"), 0.9, epsilon=0.1).q[0].max()
    for rule in ("expected_sarsa", "sarsa", "n_step_sarsa", "n_step_expected_sarsa", "sarsa_replacing"):
        spread = expected_of(workload("W1"), rule).start_value
        assert spread.mean == pytest.approx(exact, abs=spread.slack + 0.01), rule


def test_a_wrong_population_is_refused():
    given = replace(workload("W1"), episodes=100)
    done = train(given, n_agents=64)
    check_trained(given, DEFAULT, done.run.q, done.agent_steps)
    with pytest.raises(WrongAnswer, match="W1: steps"):
        check_trained(given, DEFAULT, done.run.q, round(1.1 * done.agent_steps))
    with pytest.raises(WrongAnswer, match="start_value"):
        check_trained(given, DEFAULT, 0.98 * done.run.q, done.agent_steps)


def test_a_masked_problem_is_the_same_for_its_agents():
    plain, masked = problem("W3"), problem("W3", masked=True)
    assert masked.n_actions == plain.n_actions + 1
    assert not masked.allowed[:, -1].any()
    assert masked.allowed[:, :-1].all()
    assert np.array_equal(masked.next_state[:, :-1], plain.next_state)


def test_jumps_are_refused_where_a_value_is_of_another_pair():
    mdp = jumps(5, 4)
    run = qfast.train(
        mdp, n_agents=64, episodes=3, alpha=1.0, gamma=0.0, epsilon=0.1, seed=1, threads=1, progress=False
    )
    check_jumps(mdp, run)
    turned = replace(run, q=np.ascontiguousarray(run.q[:, :, ::-1]))
    with pytest.raises(WrongAnswer, match=r"Q\(\d+, \d+\) of agent \d+ is .* no reward of that pair"):
        check_jumps(mdp, turned)
    with pytest.raises(WrongAnswer, match="steps of"):
        check_jumps(mdp, replace(run, n_steps=run.n_steps - 1))
    with pytest.raises(WrongAnswer, match="ever visited"):
        check_jumps(mdp, replace(run, q=np.zeros_like(run.q)))


@pytest.mark.parametrize("axis", AXES)
def test_growth_takes_every_size_in_whole_blocks(axis):
    made = points(axis, "once")
    assert [(p.series, p.x) for p in made] == AXES[axis].chosen("once")
    assert all(p.n_agents >= 64 for p in made)
    assert set(AXES[axis].chosen("once")) <= set(AXES[axis].chosen("full"))


def test_more_agents_are_timed_where_they_are_fast_but_not_more_than_fit():
    probe = train(replace(workload("W1"), episodes=100), n_agents=64)
    assert n_agents_for(replace(probe, seconds=0.001), 0.1) == 6_400
    assert n_agents_for(replace(probe, seconds=10.0), 0.1) == 256
    most = n_agents_for(replace(probe, seconds=1e-9), 0.1)
    assert most * 5 * 2 * 4 == pytest.approx(2**29, rel=0.01)


# ---------------------------------------------------------------- verdicts
def test_verdicts_say_what_was_asked_and_whether_noise_leaves_it_open():
    found = {v.what: v for v in verdicts(made_up(faster=20.0, rounds=3, noise=0.5))}
    clear = found["W5: plain numba, one thread each"]
    assert (clear.asked, clear.measured, clear.word) == ("at least 6 times", "20 (13.3-40)", "yes")
    assert found["W1: plain numba, one thread each"].word == "yes, within the noise"
    assert found["W1: JAX, from process start to exit"].measured == "2.5 (2.5-2.5)"
    assert found["W3: SARSA, of Q-learning's throughput"].word == "NO"
    assert found["W3: UCB, of Q-learning's throughput"].word == "yes"
    assert found["cost of a step, 1,000 to 1,000,000 agents, highest over lowest"].measured == "3 (3-3)"
    compiled = found["first compile of any of 2 variants"]
    assert compiled.word == "NO, within the noise"  # 6 s on the clock, 4 s of them at work
    assert compiled.measured.startswith("6 s (W3, ucb")
    assert found["memory above Q and records: W1"].measured == "120 MB above 80 MB"
    assert found["below a third of Q-learning, unexplained"].measured == "none"


def test_a_run_of_one_section_is_judged_on_that_alone():
    results = Results({"about": about(), "mode": "quick", "memory": made_up().data["memory"]})
    assert [v.what for v in verdicts(results)] == ["memory above Q and records: W1"]
    assert "## Memory" in report(results)
    assert "## Throughput" not in report(results)


def test_two_runs_agree_unless_their_spreads_lie_apart(capsys):
    assert command.compare(made_up(faster=20.0), made_up(faster=20.1)) == 0
    assert "ratios agree" in capsys.readouterr().out
    assert command.compare(made_up(faster=20.0), made_up(faster=30.0)) == 1
    assert "W1: qfast / plain_numba: 20 (19.6-20.4), then 30" in capsys.readouterr().out


# ---------------------------------------------------------------- words and pictures
def test_report_has_every_section():
    text = report(made_up())
    for title in ("Asked and measured", "Throughput", "Rules and options", "Growth", "Whole processes", "Memory"):
        assert f"\n## {title}" in text
    assert "| **qfast** | **20** |" in text
    assert "| qfast over plain numba | 20 (19.6-20.4) |" in text
    assert "| NumPy, batched | 2 |" in text
    assert "| Q(lambda), replacing |" in text


def test_bends_are_explained_by_the_cache_that_is_outgrown():
    results = made_up()
    assert explain(results, "states", "4 actions, jumping anywhere") == (
        "bends up at 3,000 (3.00 times the cost before it; the tables of 64 agents, 3,000 KiB, outgrow L2 of 1,024 KiB)"
    )
    slow_start = made_up().data
    slow_start["growth"]["agents"][0]["ns"] = [9.0]
    assert "at 100 the fixed cost of a call shows (9.00 times" in explain(Results(slow_start), "agents", "W1")


def test_the_table_goes_between_readmes_markers_and_nothing_else_changes(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- benchmark table -->\nold\n<!-- end -->\nafter\n<!-- end -->\n", "utf-8")
    block = readme_block(made_up(), "benchmarks/throughput.svg")
    assert put_into_readme(readme, block)
    assert put_into_readme(readme, block)
    text = readme.read_text("utf-8")
    assert text == f"before\n<!-- benchmark table -->\n{block}\n<!-- end -->\nafter\n<!-- end -->\n"
    assert "(benchmarks/throughput.svg)" in block
    assert qfast.__version__ in block
    readme.write_text("no place", "utf-8")
    assert not put_into_readme(readme, block)
    assert readme.read_text("utf-8") == "no place"


def test_every_picture_is_drawn_and_readme_gets_the_figure(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "README.md").write_text("<!-- benchmark table --><!-- end -->", "utf-8")
    monkeypatch.setattr(command, "ROOT", tmp_path)
    command.publish(made_up(), tmp_path, readme=True)
    for name in ("throughput.svg", "throughput.png", "variants.png", "growth.png", "start_up.png"):
        assert (tmp_path / name).stat().st_size > 5_000, name
    assert (tmp_path / "benchmarks" / "throughput.svg").read_bytes() == (tmp_path / "throughput.svg").read_bytes()
    assert "million agent-steps a second" in (tmp_path / "README.md").read_text("utf-8")
    assert "W1: plain numba, one thread each" in capsys.readouterr().out


def test_the_same_results_make_the_same_figure(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks.figures import draw_all

    files = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        draw_all(Results({key: made_up().data[key] for key in ("throughput", "about")}), folder)
        files.append((folder / "throughput.svg").read_bytes())
    assert files[0] == files[1]


# ---------------------------------------------------------------- the command
def test_a_wrong_answer_fails_the_run_and_leaves_readme_alone(tmp_path, monkeypatch, capsys):
    def wrong(mode, session, cache):
        raise WrongAnswer("W1: start_value is 3")

    monkeypatch.setattr(command, "_WORK", {"throughput": wrong, "memory": lambda *_: {"memory": []}})
    monkeypatch.setattr(command, "put_into_readme", lambda *_: pytest.fail("README was written"))
    assert command.main(["--only", "throughput", "memory", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "throughput failed: W1: start_value is 3\n"
    saved = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert saved["failed"] == ["throughput"]
    assert saved["memory"] == []


def test_results_survive_the_file(tmp_path):
    results = made_up()
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json").data == results.data
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_machine_is_described_without_its_name():
    import platform

    facts = about()
    text = describe(facts)
    assert platform.node() not in text.split()
    assert f"qfast {qfast.__version__}" in text
    assert facts["date"] in text
    assert all(size > 0 for size in cache_sizes().values())


def test_measured_processes_find_the_repository_and_the_cache(tmp_path):
    env = environment(tmp_path)
    assert env["NUMBA_CACHE_DIR"] == str(tmp_path)
    assert env["PYTHONPATH"].split(":")[0] == str(command.ROOT)


def test_peak_of_memory_grows_with_what_is_held():
    before = peak_memory()
    held = np.ones(before // 4)  # twice the peak so far, in bytes
    assert peak_memory() >= before + held.nbytes // 2


def test_reference_keys_tell_episodes_apart():
    assert reference_key(replace(workload("W1"), episodes=10), "sarsa") == "W1, 10 episodes, sarsa"


ASSEMBLY = """
.LBB0_1:
\tmovl\t(%rdi), %eax
\tvmovups\t(%rsi), %zmm0
.LBB0_2:
\tvpaddd\t%zmm1, %zmm0, %zmm0 # a comment
\tvpermd\t(%rdx), %zmm0, %zmm2
\tvscatterdps\t%zmm2, (%rax,%zmm0,4) {%k1}
\tvmovups\t%zmm0, (%rsi)
\tdecq\t%rcx
\tjne\t.LBB0_2
\tcmpq\t$0, %r8
\tjne\t.LBB0_1
"""


def test_the_inner_loop_is_found_and_counted():
    found = inner_loop(ASSEMBLY, 16)
    assert found.total == 6
    assert found.counts == {
        "vector arithmetic": 1, "shuffle, insert or extract from memory": 1, "scatter": 1, "vector store": 1,
        "scalar arithmetic": 2,
    }  # fmt: skip
    with pytest.raises(LookupError, match="no loop"):
        inner_loop("\tretq\n", 16)
