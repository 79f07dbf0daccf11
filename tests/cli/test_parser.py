"""Help has examples that work, and what is wrong with a command line is said in a sentence."""

import shlex

import pytest

from jaxfeat.cli import STATUSES, main, make_parser
from jaxfeat.cli.parser import Parser

COMMANDS = make_parser().commands()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_that_parse(name, capsys):
    examples = COMMANDS[name].examples
    assert len(examples) >= 2
    for words, what in examples:
        command, *rest = shlex.split(words)
        assert command == name and what
        assert make_parser().parse_args([command, *rest]).run
    assert all(words in COMMANDS[name].format_help() for words, _ in examples)


@pytest.mark.parametrize("columns", [80, 300])
@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_the_terminal_and_stays_readable(name, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    parser = make_parser()
    text = (parser if name is None else parser.commands()[name]).format_help()
    usage, *lines = text.splitlines()
    assert usage.startswith("usage: jaxfeat") and usage.endswith("[options]") and len(usage) < 80
    # A command is not broken into lines, so that it can be copied.
    assert max(len(line) for line in lines if not line.startswith("  jaxfeat ")) <= min(columns, 110)


def test_lengths_have_their_unit_and_values_their_default():
    for parser in COMMANDS.values():
        for _, actions in parser.groups():
            for action in actions:
                if action.metavar == "Å":
                    assert "in Å" in action.help, action.option_strings
                if action.option_strings and isinstance(action.default, (int, float)) and action.nargs != 0:
                    assert "%(default)s" in action.help, action.option_strings


def test_the_exit_statuses_are_listed():
    text = make_parser().format_help()
    assert all(f"\n  {status} " in text for status in STATUSES)


@pytest.mark.parametrize(
    "words, said",
    [
        (["scna", "g2"], "jaxfeat: there is no command scna; did you mean scan? See jaxfeat --help."),
        (["frobnicate"], "jaxfeat: there is no command frobnicate; choose among scan, converge,"),
        (["h2o.xyz"], "jaxfeat: h2o.xyz is a file and no command; write jaxfeat scan h2o.xyz, for example."),
        (
            ["scan", "g2", "--rcut", "3"],
            "jaxfeat scan: there is no option --rcut; did you mean --r-cut? See jaxfeat scan",
        ),
        (["scan", "g2", "--frobnicate=3"], "jaxfeat scan: there is no option --frobnicate. See"),
        (["scan", "g2", "s22"], "jaxfeat scan: 's22' is one word too many; the command takes INPUT."),
        (["sweep", "prl-mathane"], "FAMILY is 'prl-mathane'; did you mean prl-methane? Choose among prl-methane, pair"),
        (["scan", "g2", "--units", "furlong"], "--units is 'furlong'; choose among angstrom, bohr."),
        (["scan", "g2", "--r-cut", "4A"], "--r-cut is '4A'; give a number."),
        (["scan", "g2", "--n-max", "x"], "--n-max is 'x'; give a whole number."),
        (["scan", "g2", "--n-max"], "--n-max needs a value."),
        (["scan", "--centers", "C", "g2"], "INPUT is missing; write it before the options"),
        (["features", "g2"], "--out is missing; add it."),
        (["scan", "g2", "--stacked", "--summed"], "--summed is not allowed with argument --stacked; leave one out."),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_status_two(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h2o.xyz").touch()
    with pytest.raises(SystemExit) as caught:
        main(words)
    captured = capsys.readouterr()
    assert caught.value.code == 2 and captured.out == ""
    assert said in captured.err and len(captured.err.splitlines()) == 1


def test_without_words_the_whole_help_is_shown(capsys):
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2 and "\nexamples:\n" in capsys.readouterr().err


def test_a_parser_without_examples_has_help():
    parser = Parser(prog="p", description="Do it.")
    parser.add_argument("--at", help="time")
    assert parser.format_help().startswith("usage: p [options]\n\nDo it.\n")
