"""Studies in folders: what is complete stays, what is missing is trained, and the bits are the same."""

import signal
from concurrent.futures import BrokenExecutor, Executor, Future

import numpy as np
import pytest

import qfast
from qfast.errors import BadFile, Interrupted, InvalidInput, Unfinished
from qfast.storage.work_folder import WorkFolder
from qfast.studies import folder as module
from qfast.studies.reduce import Totals

LAKE = qfast.problems.frozen_lake("4x4", slip=0.0)

OWN = qfast.Metric(lambda block: block.returns[:, 0], "first", higher_is_better=True, unit="reward")


def make(**changes):
    settings = {"vary": {"alpha": [0.1, 0.5, 0.9]}, "n_agents": 200, "episodes": 100, "seed": 3, "progress": False}
    return qfast.study(LAKE, **(settings | changes))


@pytest.fixture(scope="module")
def whole():
    return make()


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 64 agents, each one in a piece of its own."""
    monkeypatch.setattr("qfast.studies.reduce._MOST_AGENTS", 64)
    monkeypatch.setattr(module, "_INTERVAL", 0.0)


@pytest.fixture
def stop_after(monkeypatch):
    """Stop studies by Ctrl-C after so many pieces."""

    def begin(count):
        written = []
        write = WorkFolder.write

        def write_and_stop(folder, name, arrays):
            write(folder, name, arrays)
            written.extend([name] * name.startswith("piece"))
            if len(written) == count:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(WorkFolder, "write", write_and_stop)
        return written

    return begin


def test_again_nothing_is_trained(whole, tmp_path, monkeypatch):
    assert make(out=tmp_path).dataset.equals(whole.dataset)
    monkeypatch.setattr("qfast.engine.scheduler.run_piece", None)
    again = make(out=tmp_path)
    assert again.dataset.equals(whole.dataset)
    assert again.dataset.attrs["n_steps"] == whole.dataset.attrs["n_steps"]
    assert qfast.load_study(tmp_path).dataset.equals(whole.dataset)
    assert make(out=tmp_path, seed=None).dataset.equals(whole.dataset)  # the folder's seed


@pytest.mark.parametrize("pieces", [1, 2, 5, 7])
def test_an_interrupted_study_goes_on(whole, tmp_path, small_blocks, stop_after, pieces):
    stop_after(pieces)
    with pytest.raises(Interrupted, match="goes on") as caught:
        make(out=tmp_path, threads=1)
    some = caught.value.study
    assert (some is None) == (pieces < 4)  # four blocks are a configuration
    if some is not None:
        done = some.dataset["agents_run"].values
        assert done[0] == 200
        assert done[2] == 0
        assert np.isnan(some.scores("auc")[2]).all()
        np.testing.assert_array_equal(some.scores("auc", 0), whole.scores("auc", 0))
    with pytest.raises(BadFile, match="not complete; run the same study again"):
        qfast.load_study(tmp_path)
    again = make(out=tmp_path)
    assert again.dataset.equals(whole.dataset)
    assert again.dataset.attrs["n_steps"] == whole.dataset.attrs["n_steps"]
    assert qfast.load_study(tmp_path).dataset.equals(whole.dataset)


@pytest.mark.parametrize("keep", [False, True])
def test_ctrl_c_stops_blocks_under_way(tmp_path, keep):
    stopped = []

    def stop(event):
        if event.phase == "training" and not stopped:
            stopped.append(event)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match="stopped; 0 of 3 configurations") as caught:
        make(progress=stop, n_agents=100_000, episodes=5_000, threads=1, out=tmp_path / "out" if keep else None)
    # It would have gone on for minutes: not even one configuration is complete.
    assert caught.value.study is None
    assert list(tmp_path.glob("**/*.tmp")) == []


@pytest.mark.parametrize("which", ["first", "last"])
def test_a_damaged_piece_is_trained_again(whole, tmp_path, small_blocks, which):
    make(out=tmp_path, threads=1)
    pieces = sorted(tmp_path.glob("piece-*.npz"))
    assert len(pieces) == 12
    damaged = pieces[0 if which == "first" else -1]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(BadFile, match="run the study again"):
        qfast.load_study(tmp_path)
    with pytest.warns(qfast.errors.DamagedPartWarning, match="set aside"):
        assert make(out=tmp_path).dataset.equals(whole.dataset)
    assert make(out=tmp_path).dataset.equals(whole.dataset)
    assert damaged.with_name(damaged.name + ".damaged").exists()


def test_a_lost_piece_is_trained_again(whole, tmp_path, small_blocks):
    make(out=tmp_path, threads=1)
    sorted(tmp_path.glob("piece-*.npz"))[5].unlink()
    assert make(out=tmp_path).dataset.equals(whole.dataset)
    assert qfast.load_study(tmp_path).dataset.equals(whole.dataset)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"seed": 4}, "seed.entropy=3, not 4"),
        ({"n_agents": 300}, "n_agents=200, not 300"),
        ({"vary": {"alpha": [0.1, 0.5]}}, "vary="),
        ({"gamma": 0.5}, "settings.gamma=0.9, not 0.5"),
        ({"paired": False}, "paired=true, not false"),
        ({"curves": False}, "curves="),
        ({"metrics": {"mine": OWN}}, "metrics="),
        ({"precision": 0.1}, "precision=null"),
        ({"episodes": 101, "seed": 4, "gamma": 0.1, "checkpoints": None}, "and [1-9] more"),
    ],
)
def test_the_folder_of_another_study_is_refused(tmp_path, monkeypatch, changes, told):
    make(out=tmp_path)
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("qfast.studies.job.scheduler", None)
    with pytest.raises(InvalidInput, match=f"holds a study that was begun with .*{told}"):
        make(out=tmp_path, **changes)
    assert sorted(tmp_path.iterdir()) == before


def test_other_places_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("qfast.studies.job.scheduler", None)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InvalidInput, match=r"something else \(it holds 'notes.txt'\)"):
        make(out=tmp_path)
    with pytest.raises(InvalidInput, match="is a file"):
        make(out=tmp_path / "notes.txt")
    with pytest.raises(InvalidInput, match="there is no folder"):
        make(out=tmp_path / "notes.txt" / "below")
    with pytest.raises(BadFile, match="holds no study"):
        qfast.load_study(tmp_path)
    for out, told in ((3, "out is 3, no name of a file"), ("a\0b", "out='a.x00b' has a null character")):
        with pytest.raises(InvalidInput, match=told):
            make(out=out)
    (tmp_path / "work.json").write_text("{")
    with pytest.raises(BadFile, match="cannot be read"):
        make(out=tmp_path)


def test_a_manifest_that_was_changed_is_refused(tmp_path):
    make(out=tmp_path, n_agents=64, vary={"alpha": [0.1]})
    manifest = tmp_path / "work.json"
    manifest.write_text(manifest.read_text().replace('"entropy": 3', '"entropy": 4'))
    for read in (qfast.load_study, lambda folder: make(out=folder, seed=4)):
        with pytest.raises(BadFile, match=r"work\.json is damaged: its checksum is wrong"):
            read(tmp_path)


def test_pieces_of_another_study_are_refused(tmp_path):
    for seed in (3, 4):
        make(out=tmp_path / f"{seed}", seed=seed, n_agents=64, vary={"alpha": [0.1]})
    (tmp_path / "4" / "piece-00000.npz").replace(tmp_path / "3" / "piece-00000.npz")
    for read in (qfast.load_study, lambda folder: make(out=folder, n_agents=64, vary={"alpha": [0.1]})):
        with pytest.raises(BadFile, match="is a part of another study"):
            read(tmp_path / "3")


def test_one_process_at_a_time(tmp_path):
    refused = []

    def again(event):
        if event.phase == "training" and not refused:
            with pytest.raises(InvalidInput, match="is in use by another process; wait for it"):
                make(out=tmp_path)
            refused.append(event)

    made = make(out=tmp_path, progress=again)
    assert refused
    assert make(out=tmp_path).dataset.equals(made.dataset)


def test_a_run_and_a_study_are_told_apart(tmp_path):
    make(out=tmp_path / "study", n_agents=64, vary={"alpha": [0.1]})
    qfast.train(n_agents=3, episodes=3, progress=False, out=tmp_path / "run")
    with pytest.raises(BadFile, match=r"holds a study, not a training.*qfast\.load_study reads a study"):
        qfast.load(tmp_path / "study")
    with pytest.raises(BadFile, match=r"holds a run, not a study; use qfast\.load"):
        qfast.load_study(tmp_path / "run")
    with pytest.raises(InvalidInput, match="holds a training, not a study"):
        make(out=tmp_path / "run")


def test_metrics_of_the_users_own_stay(tmp_path):
    made = make(out=tmp_path, metrics={"first": OWN}, n_agents=64)
    read = qfast.load_study(tmp_path)
    assert read.dataset.equals(made.dataset)
    assert read.rerun(0, 64, progress=False).metrics == [name for name in made.metrics if name != "first"]


class Failing(Executor):
    """Trains some blocks; then its workers are gone."""

    def __init__(self, left):
        self.left = left

    def submit(self, function, /, *args, **kwargs):
        future = Future()
        if self.left:
            future.set_result(function(*args, **kwargs))
        else:
            future.set_exception(BrokenExecutor("a worker died"))
        self.left -= self.left > 0
        return future


def test_a_dead_worker_leaves_what_is_complete(whole, small_blocks, tmp_path):
    with pytest.raises(Unfinished, match=r"a worker died; 2 of 3 configurations .* goes on") as failed:
        make(out=tmp_path / "study", executor=Failing(9))
    scores = failed.value.study.scores("steps")
    np.testing.assert_array_equal(scores[:2], whole.scores("steps")[:2])
    np.testing.assert_array_equal(make(out=tmp_path / "study").scores("steps"), whole.scores("steps"))


def test_a_folder_of_a_study_that_was_killed_before_it_began(whole, tmp_path):
    folder = tmp_path / "study"
    make(out=folder)
    for file in folder.iterdir():
        if file.name not in ("work.json", "lock"):
            file.unlink()
    np.testing.assert_array_equal(make(out=folder).scores("steps"), whole.scores("steps"))


@pytest.mark.parametrize("changes", [{"n_agents": 2**70}, {"episodes": 2**70}, {"first_agent": 2**70}])
def test_numbers_that_no_counter_can_hold(changes):
    with pytest.raises(InvalidInput, match="is above"):
        make(**changes)


def test_two_interrupts_between_two_lines_leave_no_configuration_short(whole, tmp_path, small_blocks, monkeypatch):
    finish = Totals.finish

    def twice(totals, number):
        finish(totals, number)
        if number == 0:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Totals, "finish", twice)
    with pytest.raises(Interrupted):
        make(out=tmp_path, threads=1)
    monkeypatch.setattr(Totals, "finish", finish)
    assert make(out=tmp_path).dataset.equals(whole.dataset)
    assert qfast.load_study(tmp_path).dataset.equals(whole.dataset)


def test_a_damaged_piece_is_made_again_once(whole, tmp_path, small_blocks, monkeypatch):
    make(out=tmp_path, threads=1)
    pieces = sorted(tmp_path.glob("piece-*.npz"))
    pieces[1].write_bytes(pieces[1].read_bytes()[:-40])
    monkeypatch.setattr("qfast.studies.reduce._MOST_AGENTS", 128)  # other blocks than those that are there
    with pytest.warns(qfast.errors.DamagedPartWarning):
        assert make(out=tmp_path, threads=1).dataset.equals(whole.dataset)
    assert qfast.load_study(tmp_path).dataset.equals(whole.dataset)
    count = len(list(tmp_path.glob("piece-*.npz")))
    assert make(out=tmp_path, threads=1).dataset.equals(whole.dataset)
    assert len(list(tmp_path.glob("piece-*.npz"))) == count  # nothing was trained
