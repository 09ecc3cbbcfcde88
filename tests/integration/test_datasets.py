"""The datasets library: Parquet, CSV and JSON lines; pushed, loaded, streamed."""

import csv
import json
import time

ROWS = [{"text": f"row {n}", "label": n % 3, "score": n / 2} for n in range(200)]


def test_push_and_load(hub, newest):
    """push_to_hub writes Parquet and a card; load_dataset gives the rows back, also streaming."""

    def story(api, rows):
        from datasets import Dataset, DatasetDict, load_dataset

        half = len(rows) // 2
        parts = DatasetDict({"train": Dataset.from_list(rows[:half]), "test": Dataset.from_list(rows[half:])})
        parts.push_to_hub("alice/pushed")
        loaded = load_dataset("alice/pushed")
        streamed = load_dataset("alice/pushed", split="test", streaming=True)
        return {
            "splits": {k: v.num_rows for k, v in loaded.items()},
            "same": loaded["train"].to_list() == rows[:half],
            "streamed": [r["text"] for r in streamed.take(3)],
            "files": sorted(api.list_repo_files("alice/pushed", repo_type="dataset")),
        }

    got = newest.run(story, ROWS, timeout=600)
    assert got["splits"] == {"train": 100, "test": 100} and got["same"]
    assert got["streamed"] == ["row 100", "row 101", "row 102"]
    assert "README.md" in got["files"] and any(f.endswith(".parquet") for f in got["files"])


def test_files_of_every_format(hub, newest, tmp_path):
    """Folders of CSV, JSON lines and Parquet, uploaded as they are, load by the name of the repository."""
    for kind in ("csv", "jsonl", "parquet"):
        (tmp_path / kind).mkdir()
    with open(tmp_path / "csv/train.csv", "w", newline="") as f:
        writer = csv.DictWriter(f, ["text", "label", "score"])
        writer.writeheader()
        writer.writerows(ROWS)
    (tmp_path / "jsonl/train.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ROWS))

    def story(api, rows, folder):
        import pyarrow
        import pyarrow.parquet
        from datasets import load_dataset

        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), f"{folder}/parquet/train.parquet")
        out = {}
        for kind in ("csv", "jsonl", "parquet"):
            api.create_repo(f"alice/{kind}", repo_type="dataset")
            api.upload_folder(repo_id=f"alice/{kind}", folder_path=f"{folder}/{kind}", repo_type="dataset")
            loaded = load_dataset(f"alice/{kind}", split="train")
            streamed = load_dataset(f"alice/{kind}", split="train", streaming=True)
            out[kind] = [loaded.num_rows, loaded[7], next(iter(streamed.skip(7)))]
        return out

    for kind, (count, row, streamed) in newest.run(story, ROWS, str(tmp_path), timeout=600).items():
        assert count == 200, kind
        assert row == ROWS[7] == streamed, kind


def test_private_dataset(hub, newest):
    """Its owner loads it; for others it is not there."""

    def story(api):
        from datasets import load_dataset

        return load_dataset("alice/secret", split="train").num_rows

    def refused(api):
        from datasets import load_dataset

        return failure(load_dataset, "alice/secret", split="train")

    hub.create("alice/secret", "dataset", private=True)
    hub.commit("alice/secret", {"train.csv": "a,b\n1,2\n3,4\n"}, "dataset")
    assert newest.run(story) == 2
    failed = newest.run(refused, user="bob", HF_HOME=newest.home / "elsewhere")
    assert "DatasetNotFoundError" in failed["is"]


def test_revision_and_part(hub, newest):
    """A commit, and a subset of the files."""

    def story(api, revision):
        from datasets import load_dataset

        old = load_dataset("alice/data", revision=revision, split="train")
        some = load_dataset("alice/data", data_files="extra/*.csv", split="train")
        return old.num_rows, some.num_rows

    hub.create("alice/data", "dataset")
    first = hub.commit("alice/data", {"train.csv": "a\n1\n2\n"}, "dataset")
    hub.commit("alice/data", {"train.csv": "a\n1\n2\n3\n", "extra/more.csv": "a\n9\n"}, "dataset")
    assert newest.run(story, first) == [2, 1]


def test_the_viewer_does_not_hang_the_client(hub, newest):
    """The library looks for a viewer at a host that does not exist here; loading must stay quick."""

    def story(api):
        from datasets import load_dataset

        return load_dataset("alice/data", split="train").num_rows

    hub.create("alice/data", "dataset")
    hub.commit("alice/data", {"train.jsonl": '{"a": 1}\n{"a": 2}\n'}, "dataset")
    started = time.monotonic()
    assert newest.run(story, timeout=120) == 2
    assert time.monotonic() - started < 60


def test_parquet_by_range_through_the_file_system(hub, newest):
    """pyarrow reads one column of a remote file through HfFileSystem."""

    def story(api, rows):
        import pyarrow
        import pyarrow.parquet
        from huggingface_hub import HfFileSystem

        fs = HfFileSystem()
        with fs.open("datasets/alice/data/part.parquet", "wb") as f:
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), f)
        table = pyarrow.parquet.read_table("datasets/alice/data/part.parquet", filesystem=fs, columns=["label"])
        return table.num_rows, table.column_names

    hub.create("alice/data", "dataset")
    assert newest.run(story, ROWS) == [200, ["label"]]
