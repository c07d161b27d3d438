"""What the server asks of the system before it starts."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096))
from syncserver import app
app._allow_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
app._allow_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""
"""In a process of its own: a limit that was lowered does not come back."""


def test_as_many_files_may_be_open_as_the_system_allows() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split("\n") == ["4096 4096", "4096 4096", ""]


DEEP = """
import threading
import pycrdt
from docstore import crdt, folding
from syncserver import app

app._deepen_stack()
levels = 60_000
number = crdt.write_var_uint
made = [bytes.fromhex("0701016d00")]
made += [b"\\x07\\x00\\x05" + number(at) + b"\\x01" for at in range(levels - 1)]
nested = b"\\x01" + number(levels) + b"\\x05\\x00" + b"".join(made) + b"\\x00"
gone = bytes.fromhex("000105010001")
threads = [
    threading.Thread(target=folding.fold, args=(None, [folding.Update(nested), folding.Update(gone)]))
]
for thread in threads:
    thread.start()
    thread.join()
doc = pycrdt.Doc()
doc.apply_update(nested)
doc.apply_update(gone)
print("alive")
"""


def test_types_nested_deeply_are_deleted_in_threads_and_in_the_main_one() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", DEEP], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "alive\n"), ended.stderr
