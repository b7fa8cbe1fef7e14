"""A project's database that came with a copy or a move: MLflow keeps the whole path of every file
in it, and a copy's files would go into the folder of the project that it was copied from."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline.errors import UserError

# Where MLflow's tables keep whole paths.
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
_BUSY_S = 30.0


def came_from(database: Path, kept: Path, own: Path) -> bool:
    """Whether a database was copied or moved here with the project that keeps its files in `kept`.

    Args:
        database: the sqlite file.
        kept: the folder that it names.
        own: the folder that it would name if it had been made here.
    """
    if kept == own or (kept.exists() and own.exists() and kept.samefile(own)):
        return False
    original = kept.parent / database.name
    if original.is_file():  # what is the same file has another path, and was not copied
        return not original.samefile(database)
    return own.is_dir() and not kept.exists()


def adopt(database: Path, kept: Path, own: Path) -> int:
    """Make a database name its files in `own` that it named in `kept`: new ones all, of those that
    are there already what came along. Returns how many of these stay named where they were.

    Raises UserError where the database may not be written.
    """
    own.mkdir(parents=True, exist_ok=True)
    old, new = kept.as_uri(), own.as_uri()

    def there(address: str) -> bool:
        return Path(url2pathname(urlsplit(address).path)).exists()

    left = 0
    try:
        with closing(sqlite3.connect(database, timeout=_BUSY_S)) as connection, connection:
            connection.create_function("there", 1, there)
            for table, column in _PLACES:
                named = f"{column} = :old or substr({column}, 1, :length + 1) = :old || '/'"
                moved = f":new || substr({column}, :length + 1)"
                came = "1" if table == "experiments" else f"there({moved})"
                values = {"old": old, "new": new, "length": len(old)}
                connection.execute(
                    f"update {table} set {column} = {moved} where ({named}) and {came}", values
                )
                count = f"select count(*) from {table} where {named}"
                left += connection.execute(count, values).fetchone()[0]
    except sqlite3.Error as error:
        raise UserError(
            f"{database} names the files of another project, {kept}, and cannot be changed: {error}"
        ) from error
    return left
