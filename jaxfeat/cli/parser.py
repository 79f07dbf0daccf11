"""A parser whose help ends with examples, and whose errors are one sentence that says what to do."""

import argparse
import re
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

from jaxfeat.spelling import did_you_mean

WIDEST_HELP = 110  # columns; longer lines of help are hard to read
HELP_POSITION = 26  # column at which the help of an option begins

Example = tuple[str, str]
"""The words after `jaxfeat`, and what they do."""


class Parser(argparse.ArgumentParser):
    """The parser of a command, with `examples` of it, and `lists` of names and their meanings by title."""

    def __init__(
        self,
        *args: Any,
        examples: Sequence[Example] = (),
        lists: Mapping[str, Mapping[str, str]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(*args, **{"formatter_class": _make_formatter, **options})
        self.examples, self.lists = list(examples), dict(lists or {})

    def format_usage(self) -> str:
        """Write one line: the positional arguments come first, because some options take all words after them."""
        return f"usage: {self.prog} {' '.join([*map(name_argument, self.positionals()), '[options]'])}\n"

    def format_help(self) -> str:
        """Write the usage, all options by group, the lists, and the examples."""
        self.usage = argparse.SUPPRESS
        parts = [self.format_usage(), super().format_help().lstrip()]
        for title, entries in self.lists.items():
            parts.append(f"{title}:\n" + "".join(_align(name, what) for name, what in entries.items()))
        if self.examples:
            lines = (f"  jaxfeat {words}\n{_indent(what)}\n" for words, what in self.examples)
            parts.append(f"examples:\n{''.join(lines)}")
        return "\n".join(parts)

    def positionals(self) -> list[argparse.Action]:
        """List the arguments that are no options."""
        return [action for _, actions in self.groups() for action in actions if not action.option_strings]

    def groups(self) -> Iterator[tuple[str, list[argparse.Action]]]:
        """Yield the title and the arguments of each group that has any."""
        for group in self._action_groups:
            shown = [action for action in group._group_actions if action.help != argparse.SUPPRESS]
            if shown:
                yield group.title or "", shown

    def commands(self) -> dict[str, "Parser"]:
        """Find the parsers of the commands by name."""
        found = (action.choices for action in self._actions if isinstance(action, argparse._SubParsersAction))
        return next(found, {})

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments, and refuse unknown ones here, where the similar ones are known."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._explain_unknown(unknown))
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print a sentence, or the whole help if nothing was asked for, and end with status 2."""
        if message.endswith(": COMMAND"):
            self.exit(2, self.format_help())
        self.exit(2, f"{self.prog}: {_explain(message)} See {self.prog} --help.\n")

    def _explain_unknown(self, words: Sequence[str]) -> str:
        options = [word.partition("=")[0] for word in words if word.startswith("-")]
        if not options:
            taken = " and ".join(map(name_argument, self.positionals())) or "no such word"
            return f"{words[0]!r} is one word too many; the command takes {taken}."
        known = [name for action in self._actions for name in action.option_strings if name.startswith("--")]
        return f"there is no option {options[0]}{did_you_mean(options[0], known) or '.'}"


def name_argument(action: argparse.Action) -> str:
    """Name a positional argument as the usage does: in brackets if it may be left out."""
    name = str(action.metavar or action.dest)
    return f"[{name} ...]" if action.nargs == "*" else name


def _make_formatter(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, max_help_position=HELP_POSITION, width=_help_width())


def _help_width() -> int:
    return min(shutil.get_terminal_size().columns, WIDEST_HELP) - 2


def _align(name: str, text: str) -> str:
    """Write a name and its meaning as argparse writes an option."""
    lines = textwrap.wrap(text, _help_width() - HELP_POSITION)
    return "".join(
        f"{first:<{HELP_POSITION}}{line}\n" for first, line in zip_longest([f"  {name}"], lines, fillvalue="")
    )


def _indent(text: str) -> str:
    return textwrap.fill(text, _help_width(), initial_indent=6 * " ", subsequent_indent=6 * " ")


def _explain(message: str) -> str:
    """Turn a message of argparse into a sentence. Its words differ between versions of Python."""
    where, colon, fault = message.removeprefix("argument ").partition(": ")
    if choice := re.match(r"invalid choice: '?(.*?)'? \(choose from (.*)\)", fault):
        return _explain_choice(where, choice[1], re.findall(r"[^\s',]+", choice[2]))
    if value := re.match(r"invalid (int|float) value: '(.*)'", fault):
        kind = "a whole number" if value[1] == "int" else "a number"
        return f"{where} is {value[2]!r}; give {kind}."
    if names := re.match(r"the following arguments are required: (.*)", message):
        options = names[1].startswith("-")
        hint = "add it" if options else "write it before the options, because some of these take all words after them"
        return f"{names[1]} is missing; {hint}."
    if fault.startswith(("expected one argument", "expected at least one argument")):
        return f"{where} needs a value."
    if fault.startswith("not allowed with"):
        return f"{where} is {fault}; leave one out."
    return f"{where}{colon}{fault}" + "." * (not message.endswith((".", "?")))


def _explain_choice(where: str, given: str, choices: Sequence[str]) -> str:
    similar, listed = did_you_mean(given, choices), ", ".join(choices)
    if where != "COMMAND":
        return f"{where} is {given!r}{similar}{' Choose' if similar else '; choose'} among {listed}."
    if not similar and Path(given).exists():
        return f"{given} is a file and no command; write jaxfeat scan {given}, for example."
    return f"there is no command {given}{similar or f'; choose among {listed}.'}"
