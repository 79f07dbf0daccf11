"""Sphinx extension: the options of all commands, taken from their parsers, in the place of a comment on a page."""

import argparse
from collections.abc import Iterator
from typing import Any

from jaxfeat.cli import STATUSES, make_parser
from jaxfeat.cli.parser import Parser, name_argument

COMMANDS_HERE, STATUSES_HERE = "<!-- commands -->", "<!-- exit statuses -->"


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", _insert)
    return {"parallel_read_safe": True}


def _insert(app: Any, name: str, source: list[str]) -> None:
    source[0] = insert_commands(source[0])


def insert_commands(page: str) -> str:
    """Put the commands and the exit statuses in the places of the comments that stand for them."""
    page = page.replace(COMMANDS_HERE, "\n".join(write_commands(make_parser())))
    rows = "".join(f"| {status} | {what} |\n" for status, what in STATUSES.items())
    return page.replace(STATUSES_HERE, f"| status | meaning |\n|---|---|\n{rows}")


def write_commands(parser: Parser) -> Iterator[str]:
    """Write a section for each command in Markdown."""
    for name, command in parser.commands().items():
        yield f"## jaxfeat {name}\n\n{command.description}\n"
        yield f"```text\n{command.format_usage().removeprefix('usage: ')}```\n"
        yield "```sh\n{}```\n".format("\n".join(f"# {what}\njaxfeat {words}\n" for words, what in command.examples))
        for title, actions in command.groups():
            # "options" is argparse's name for those that belong to no group.
            yield f"**{title[0].upper()}{title[1:]}**\n"
            for action in actions:
                yield _define(_name(action), (action.help or "") % vars(action))
        for title, entries in command.lists.items():
            yield f"**{title[0].upper()}{title[1:]}**\n"
            for entry, what in entries.items():
                yield _define(f"`{entry}`", what)


def _define(term: str, text: str) -> str:
    return f"{term}\n: {text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}\n"


def _name(action: argparse.Action) -> str:
    """Name an argument with its values."""
    if not action.option_strings:
        return f"`{name_argument(action)}`"
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    if isinstance(value, tuple):
        value = " ".join(value)
    value = {"+": f"{value} ...", "?": f"[{value}]", "0": ""}.get(str(action.nargs), value)
    return f"`{', '.join(action.option_strings)}{' ' if value else ''}{value}`"
