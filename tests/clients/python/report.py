"""Collects the results, and prints the matrix and the last line."""

from __future__ import annotations

from collections import defaultdict

Row = tuple[str, str, str, str]
HARNESS: Row = ("harness", "", "", "")
GROUPS = ["open", "describe", "modify", "status", "billtype", "auth", "wire", "operator", "race", "process"]


class Report:
    """One run. Failures are printed when they happen, and again at the end."""

    def __init__(self) -> None:
        self._cells: dict[str, dict[Row, dict[str, list[int]]]] = defaultdict(dict)
        self._failures: list[str] = []
        self._skipped: list[str] = []
        self._order: list[Row] = [HARNESS]
        self._unpublished: set[Row] = set()

    def record(self, world: str, row: Row, group: str, name: str, problem: str = "") -> None:
        """Records one check, which passes if there is no problem."""
        if row not in self._order:
            self._order.append(row)
        cell = self._cells[world].setdefault(row, defaultdict(lambda: [0, 0]))[group]
        cell[0 if not problem else 1] += 1
        if problem:
            label = " ".join(part for part in row if part)
            failure = f"FAILED [{world}] {label}: {group}: {name}\n    " + problem.replace("\n", "\n    ")
            self._failures.append(failure)
            print(failure, flush=True)

    def declare(self, row: Row, published: bool) -> None:
        """Adds a row of the matrix. Rows are printed in this order."""
        self._order.append(row)
        if not published:
            self._unpublished.add(row)

    def skip(self, what: str) -> None:
        """Records something that was skipped on request."""
        self._skipped.append(what)

    def counts(self) -> tuple[int, int, int]:
        """Returns the numbers of passed, failed and skipped checks."""
        cells = [cell for rows in self._cells.values() for groups in rows.values() for cell in groups.values()]
        return sum(cell[0] for cell in cells), sum(cell[1] for cell in cells), len(self._skipped)

    def print(self) -> None:
        """Prints the matrix of each environment, what was skipped, the failures and the last line."""
        for world, rows in self._cells.items():
            self._print_matrix(world, rows)
        if self._unpublished:
            print("\n* not a published client: a signer of this suite, for what SDKs cannot send")
        if self._skipped:
            print("\nskipped: " + ", ".join(self._skipped))
        if self._failures:
            print(f"\n{len(self._failures)} checks failed:\n\n" + "\n".join(self._failures))
        passed, failed, skipped = self.counts()
        print(f"\n{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""), flush=True)

    def _print_matrix(self, world: str, rows: dict[Row, dict[str, list[int]]]) -> None:
        used = [group for group in GROUPS if any(group in groups for groups in rows.values())]
        table = [["client", "signature", "format", "parameters", *used]]
        for row, groups in sorted(rows.items(), key=lambda item: self._order.index(item[0])):
            name = row[0] + (" *" if row in self._unpublished else "")
            table.append([name, *row[1:], *(_cell(groups.get(group)) for group in used)])
        widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
        print(f"\n== {world}")
        for line in table:
            print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())


def _cell(cell: list[int] | None) -> str:
    if cell is None:
        return "-"
    passed, failed = cell
    return f"{passed} ok" if not failed else f"FAIL {failed}/{passed + failed}"
