"""What waits: kept on the disk and read again, for one address only."""

import pytest
from botocore.exceptions import NoCredentialsError

from pipeline.tracking import outbox
from pipeline.tracking.outbox import Outbox

URI = "http://ann:hunter22@host:5000"


@pytest.fixture
def box(tmp_path):
    box = Outbox("run1", "levels/level0")
    box.add_metric("loss (d)", 0.5, 100, 1_700_000_000_000)
    box.add_metric("loss (d)", 0.6, 100, 1_700_000_000_001)
    box.add_tags({"sgan.reused": True, "none": None})
    box.add_params({"lr": "0.1"})
    (tmp_path / "report.html").write_text("<p>")
    box.add_file(tmp_path / "report.html", "html")
    box.add_picture("samples", b"png", 100, 1_700_000_000_000)
    box.add_picture("samples", b"another", 100, 1_700_000_000_001)
    return box


def test_a_point_is_taken_once_for_a_step(box):
    assert [(m.key, m.value, m.step) for m in box._metrics] == [("loss _d_", 0.5, 100)]


def test_what_is_kept_is_what_waited(box, tmp_path):
    folder = tmp_path / "waiting"
    box.end("FINISHED")
    box.keep(folder, URI)
    assert box.done
    (tmp_path / "report.html").unlink()
    assert list(outbox.kept(folder, "http://another:5000")) == []
    (again,) = outbox.kept(folder, URI)
    assert (again.run_id, again.name, again.ending) == ("run1", "levels/level0", box.ending)
    assert list(again._metrics) == list(box._metrics)
    assert (again._tags, again._params) == ({"sgan.reused": "true"}, {"lr": "0.1"})
    ((copy, directory),) = again._files
    assert (open(copy).read(), directory) == ("<p>", "html")
    assert again._pictures == box._pictures == [("samples", b"png", 100, 1_700_000_000_000)]
    assert "hunter22" not in (folder / "run1.json").read_text()
    again.discard(folder)
    assert list(folder.iterdir()) == []


def test_a_run_that_goes_on_takes_up_what_was_kept_for_it(box, tmp_path):
    folder, another = tmp_path / "waiting", tmp_path / "another" / "report.html"
    box.end("FAILED")
    box.keep(folder, URI)
    own = Outbox("run1", "levels/level0", unsure=True)
    own.take_up(folder, "http://another:5000")
    own.discard(folder)
    assert own.empty and (folder / "run1.json").exists(), "it never held what is kept there"
    own.take_up(folder, URI)
    assert (list(own._metrics), own.ending) == (list(box._metrics), None)
    another.parent.mkdir()
    another.write_text("<b>")
    own.add_file(another, "html")
    own.keep(folder, URI)
    (again,) = outbox.kept(folder, URI)
    assert [open(copy).read() for copy, _ in again._files] == ["<p>", "<b>"]
    own.discard(folder)
    assert list(folder.iterdir()) == []


class Client:
    """MLflow's, which takes nothing for the first run."""

    def __init__(self):
        self.asked = []

    def log_batch(self, run_id, **_):
        self.asked.append(run_id)
        if run_id == "run1":
            raise OSError("timed out")


@pytest.mark.parametrize(("failing_s", "left"), [(5.0, ["run1"]), (0.0, ["run1", "run2"])])
def test_one_run_s_outage_holds_no_other_up_unless_it_takes_long(
    tmp_path, monkeypatch, failing_s, left
):
    monkeypatch.setattr(outbox, "_FAILING_S", failing_s)
    for run_id in ("run1", "run2"):
        box = Outbox(run_id, run_id)
        box.add_tags({"a": 1})
        box.keep(tmp_path, URI)
    client = Client()
    outbox.send_kept(tmp_path, URI, client)
    assert sorted(file.stem for file in tmp_path.iterdir()) == left
    assert client.asked == ["run1", "run2"][: 3 - len(left)]


def test_a_file_that_was_cut_short_is_seen(tmp_path, box):
    """It is written whole or not at all, so half of one is another program's doing."""
    folder = tmp_path / "waiting"
    box.keep(folder, URI)
    (folder / "run1.json").write_text('{"tracking":')
    with pytest.raises(ValueError, match="Expecting value"):
        list(outbox.kept(folder, URI))


def test_what_was_refused_is_forgotten_but_the_end_is_not(box):
    box.end("FAILED")
    box.forget()
    assert (len(box._metrics), box._tags, box._params, box._files) == (0, {}, {}, [])
    assert box._pictures == []
    assert box.ending[0] == "FAILED" and not box.done


class Refusing:
    """MLflow's client, whose file store takes nothing."""

    def __init__(self):
        self.ended = []

    def log_artifact(self, *_):
        raise NoCredentialsError

    def set_terminated(self, run_id, status, _):
        self.ended.append((run_id, status))


def test_a_kept_file_that_is_refused_is_dropped_with_a_line_and_its_run_ends(tmp_path, caplog):
    (tmp_path / "report.html").write_text("<p>")
    box, folder, client = Outbox("run1", "evaluate"), tmp_path / "waiting", Refusing()
    box.add_file(tmp_path / "report.html", None)
    box.end("FINISHED")
    box.keep(folder, URI)
    outbox.send_kept(folder, URI, client)
    assert "evaluate: what waited for it is dropped: Unable to locate credentials" in caplog.text
    assert (client.ended, list(folder.iterdir())) == ([("run1", "FINISHED")], [])
