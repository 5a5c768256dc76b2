"""numba's cache on disk: whatever is in it, results are right, and nothing stops a run."""

import importlib.util
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numba.core.caching import FunctionCache

import qfast
from qfast.kernel.jit import CarefulFile

TRAIN = "import qfast; print(qfast.train(n_agents=100, episodes=20, seed=0, record=None, progress=False).n_steps)"
NOWHERE = """
from numba.core import caching
caching.CompileResultCacheImpl._locator_classes = [caching.UserProvidedCacheLocator]
"""


@pytest.fixture(scope="module")
def expected():
    run = qfast.train(n_agents=100, episodes=20, seed=0, record=None, progress=False)
    return f"{run.n_steps}\n"


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache with one variant."""
    return tmp_path_factory.mktemp("cache")


def fill(script, folder):
    done = script(TRAIN, env={"NUMBA_CACHE_DIR": str(folder)})
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(folder, ending):
    return sorted(folder.rglob(f"loop.train_block*.{ending}"))


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Import, each time anew, a module with a small cached function that is compiled for int64 and float64."""
    source = "from qfast.kernel.jit import kernel\n@kernel\ndef double(x):\n    return x + x\n"
    (tmp_path / "small.py").write_text(source)

    def anew():
        spec = importlib.util.spec_from_file_location("small", tmp_path / "small.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "small", module)
        spec.loader.exec_module(module)
        return module

    module = anew()
    assert (module.double(2), module.double(0.25)) == (4, 0.5)
    return anew


def hits(module):
    """Results, and how many of both variants came from the disk."""
    assert (module.double(2), module.double(0.25)) == (4, 0.5)
    return sum(module.double.stats.cache_hits.values())


def paths(module):
    cache = module.double._cache._cache_file
    folder = Path(cache._cache_path)
    return folder / cache._index_name, {str(key[0][0]): folder / name for key, name in cache._load_index().items()}


def test_what_is_whole_is_used(small):
    assert hits(small()) == 2


@pytest.mark.parametrize("damage", ["truncated", "empty", "bit", "missing", "foreign"])
def test_a_damaged_entry_is_compiled_again(small, damage):
    _, data = paths(small())
    whole = data["int64"].read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    content = {"truncated": whole[:1000], "empty": b"", "bit": flipped, "foreign": pickle.dumps([1])}.get(damage)
    if content is None:
        data["int64"].unlink()
    else:
        data["int64"].write_bytes(content)
    assert hits(small()) == 1
    assert hits(small()) == 2  # and was written again


@pytest.mark.parametrize("damage", ["truncated", "empty", "random", "another version"])
def test_a_damaged_index_is_made_again(small, damage):
    index, _ = paths(small())
    whole = index.read_bytes()
    contents = {
        "truncated": whole[:40], "empty": b"", "random": np.random.default_rng(0).bytes(300),
        "another version": pickle.dumps("0.1.2") + b"whatever it holds",
    }  # fmt: skip
    index.write_bytes(contents[damage])
    assert hits(small()) == 0
    assert hits(small()) == 2


def test_another_variants_code_is_never_run(small):
    # Two processes that compile at once may leave an index that names the other one's code.
    _, data = paths(small())
    one, other = data["int64"].read_bytes(), data["float64"].read_bytes()
    data["int64"].write_bytes(other)
    data["float64"].write_bytes(one)
    assert hits(small()) == 0
    assert hits(small()) == 2


def test_a_full_disk_only_means_that_nothing_is_cached(small, monkeypatch):
    index, data = paths(small())
    for path in (index, *data.values()):
        path.unlink()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CarefulFile, "_save_data", full)
    assert hits(small()) == 0


def test_a_folder_that_becomes_a_file_only_means_that_nothing_is_cached(script, tmp_path, expected):
    folder = tmp_path / "cache"
    code = f"""
import shutil, qfast
qfast.train(n_agents=64, episodes=1, record="returns", progress=False)  # everything is imported
shutil.rmtree({str(folder)!r}); open({str(folder)!r}, "w").close()
{TRAIN}
"""
    done = script(code, env={"NUMBA_CACHE_DIR": str(folder)})
    assert (done.returncode, done.stdout) == (0, expected), done.stderr


def test_the_kernel_is_careful():
    from qfast.kernel import environment, loop, policies, summarize

    functions = [function for module in (environment, loop, policies, summarize) for function in vars(module).values()]
    caches = [function._cache for function in functions if isinstance(getattr(function, "_cache", None), FunctionCache)]
    assert len(caches) >= 9
    assert {type(cache._cache_file) for cache in caches} == {CarefulFile}


@pytest.mark.long
def test_damaged_files_of_the_kernel(script, filled, expected):
    assert fill(script, filled) == expected
    (data,), (index,) = files(filled, "nbc"), files(filled, "nbi")
    whole = data.read_bytes()
    for path, content in ((data, whole[:1000]), (index, index.read_bytes()[:40])):
        path.write_bytes(content)
        assert fill(script, filled) == expected
        assert path.read_bytes() != content


@pytest.mark.long
def test_processes_that_share_an_empty_cache_at_once(script, tmp_path, expected):
    folder = tmp_path / "shared"
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(lambda _: fill(script, folder), range(3))) == [expected] * 3
    assert fill(script, folder) == expected


def test_where_no_folder_may_be_written_to(script, tmp_path, expected):
    done = script(NOWHERE + TRAIN, env={"TMPDIR": tmp_path, "NUMBA_CACHE_DIR": None})
    assert done.stdout == expected
    assert "set NUMBA_CACHE_DIR to a folder of your own" in done.stderr
    assert not list(tmp_path.glob("qfast-*"))  # it goes with the process


def test_a_folder_that_cannot_be_made(script, tmp_path, expected):
    (tmp_path / "file").touch()
    assert fill(script, tmp_path / "file" / "cache") == expected
