"""What users can meet has an entry in the docs, and what is made from the code is up to date."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_reference_is_made_from_todays_code() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "reference.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}: run `make reference`"


def test_links_between_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    dead = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in link and not (page.parent / link).exists()
    ]
    assert not dead


def test_each_command_has_help_that_ends_with_an_example() -> None:
    import click

    from levada.cli import cli

    def commands(group: click.Group) -> list[click.Command]:
        return [c for sub in group.commands.values() if not sub.hidden for c in (commands(sub) if isinstance(sub, click.Group) else [sub])]

    lacking = [c.name for c in commands(cli) if "Example:" not in (c.help or "")]
    assert not lacking
