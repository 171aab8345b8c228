"""How long the command takes to say something: --help, --version, and an index run that has nothing to do.

python -m benchmarks.start_up
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import machine, middle, mmsearch_command, run, spread
from benchmarks.tables import table, write_section

COMMANDS = (["--help"], ["--version"], ["search", "--help"], ["status"])


def main() -> None:
    """Runs each command in turn and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--document", type=Path, help="the Markdown file that gets the table")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        environment = {"MMSEARCH_LIBRARY": str(Path(place, "library"))}
        (Path(place) / "note.txt").write_text("A note.")
        run([*mmsearch_command(), "index", place], environment)
        commands = {" ".join(["mmsearch", *words]): [*mmsearch_command(), *words] for words in COMMANDS}
        commands["python -c pass"] = [sys.executable, "-c", "pass"]
        runs = {name: [run(command, environment)] for name, command in commands.items()}  # compiled, in the page cache
        for name in runs:
            runs[name].clear()
        for _ in range(asked.repeats):
            for name, command in commands.items():
                runs[name].append(run(command, environment))
    rows = [
        [name, spread([one.wall for one in of], 3), f"{max(one.peak for one in of) / 1e6:,.0f}"]
        for name, of in runs.items()
    ]
    ratio = middle([one.wall for one in runs["mmsearch --help"]]) / middle([one.wall for one in runs["python -c pass"]])
    text = f"{table(['', 'seconds', 'peak MB'], rows)}\n\n`--help` takes {ratio:.1f} times as long as Python itself. "
    text += f"Median of {asked.repeats} [lowest–highest]. {machine()}."
    print(text)
    if asked.document:
        write_section(asked.document, "Starting up", text)


if __name__ == "__main__":
    main()
