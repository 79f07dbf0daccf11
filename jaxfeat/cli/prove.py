"""jaxfeat prove: certificates of exact singular points near the environments of a file, and their check."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jaxfeat
from jaxfeat.cli.arguments import add_option, add_read_options, add_results
from jaxfeat.cli.inputs import read_environments
from jaxfeat.cli.output import check_targets, say_written, write_json
from jaxfeat.errors import ReadError

if TYPE_CHECKING:
    from jaxfeat.singular.proof import Certificate, NotProved

NOT_PROVED = 1  # exit status, if an environment is not proved or a certificate is wrong


EXAMPLES = (
    ("prove molecules.xyz --out certificates.json", "prove that the first atom of each structure is next to one"),
    ("prove molecules.xyz --centers C --nu 3 --radius 1e-4 --json answers.json", "other centers, order and distance"),
    ("prove certificates.json --check", "verify certificates from scratch"),
)


def add_prove(commands: Any) -> None:
    parser = commands.add_parser(
        "prove",
        help="prove that an environment is next to an exact singular point",
        description="Prove that exact positions near an environment of INPUT have a displacement that no features of "
        "order ν see, in any basis. Balls enclose the positions, and integers show that the displacement is null. With "
        "--check, verify certificates from scratch. The exit status is 0 if everything is proved, and 1 otherwise. "
        "Lengths are in Å. Needs jaxfeat[proof].",
        examples=EXAMPLES,
    )
    parser.set_defaults(run=_prove, begins="reading {input}.")
    parser.add_argument(
        "input", metavar="INPUT", help="a file that ASE reads, or FILE@INDEX; certificates with --check"
    )
    parser.add_argument("more", nargs="*", metavar="CERTIFICATE", help="with --check, more files of certificates")
    parser.add_argument("--check", action="store_true", help="verify the certificates in INPUT, and prove nothing")
    proof = parser.add_argument_group("the proof")
    add_option(proof, "--nu", 2, "body order of the features that are blind", choices=(1, 2, 3, 4))
    proof.add_argument("--pseudoscalars", action="store_true", help="for features that tell mirror images apart")
    add_option(proof, "--radius", 1e-5, "largest distance from an environment to the exact point, in Å", metavar="Å")
    add_option(proof, "--r-cut", 4.0, "radius of the environments, in Å", metavar="Å")
    proof.add_argument(
        "--centers",
        nargs="+",
        default=["0"],
        metavar="X",
        help="symbols or indices from 0 (default: 0, the first atom)",
    )
    add_read_options(parser)
    add_results(
        parser,
        json="write one object per environment, with its certificate or the reason why there is none",
        out="write the certificates, one or a list, for --check",
    )


def _prove(arguments: argparse.Namespace) -> int:
    try:
        import flint  # noqa: F401
    except ImportError:
        raise ReadError("proofs need python-flint, which is not installed: pip install 'jaxfeat[proof]'.") from None
    check_targets(arguments.json, None)
    check_targets(arguments.out, None)
    if arguments.check:
        return _check([arguments.input, *arguments.more], arguments.json)
    if arguments.more:
        raise ReadError(f"{arguments.more[0]} follows INPUT; several files are for --check only.")
    source, batch = read_environments(arguments)
    records = []
    for env in batch:
        answer = jaxfeat.prove(env, arguments.nu, arguments.pseudoscalars, radius=arguments.radius)
        records.append(_describe(answer, env))
        name = source.names[records[-1]["structure"]]
        where = f"{name}, center {records[-1]['center']} ({records[-1]['species']})"
        if isinstance(answer, jaxfeat.Certificate):
            found = f"proved: {answer.stratum} within {answer.data['radius']} Å, null for ν = {arguments.nu}"
            print(f"{where}: {found}, seen by ν = {answer.seen_by}.")
        else:
            print(f"{where}: not proved: {answer.reason}")
    proved = [record["certificate"] for record in records if record["proved"]]
    print(f"{len(proved)} of {len(records)} proved.")
    if arguments.json is not None:
        write_json(arguments.json, records)
    if arguments.out is not None and proved:
        write_json(arguments.out, proved[0] if len(proved) == 1 else proved)
    say_written(arguments.json, arguments.out if proved else None)
    return 0 if len(proved) == len(records) else NOT_PROVED


def _describe(answer: Certificate | NotProved, env: jaxfeat.Environment) -> dict[str, Any]:
    """Write an answer as plain values."""
    from jaxfeat.geometry.species import SYMBOLS

    record: dict[str, Any] = {
        "structure": int(env.structure_index),
        "center": int(env.center_index),
        "species": SYMBOLS[int(env.center_species)],
        "n_neighbors": int(env.n_neighbors),
        "proved": answer.proved,
    }
    if not isinstance(answer, jaxfeat.Certificate):
        return {**record, "reason": answer.reason}
    found = {name: getattr(answer, name) for name in ("stratum", "radius", "seen_by", "statement")}
    return {**record, **found, "displacement": answer.displacement.tolist(), "certificate": answer.data}


def _check(paths: list[str], out: Path | None) -> int:
    """Verify the certificates in some files, and print a line for each."""
    from jaxfeat.singular.certificate import InvalidCertificate, check_certificate

    records = []
    for path in paths:
        for place, certificate in _read_certificates(path):
            record: dict[str, Any] = {"file": path, "place": place, "verified": True}
            where = path if place is None else f"{path}, certificate {place}"
            try:
                record["statement"] = check_certificate(certificate)
                print(f"{where}: verified. {record['statement']}")
            except InvalidCertificate as fault:
                record |= {"verified": False, "reason": str(fault)}
                print(f"{where}: wrong: {fault}")
            records.append(record)
    verified = sum(record["verified"] for record in records)
    print(f"{verified} of {len(records)} verified.")
    if out is not None:
        write_json(out, records)
        say_written(out)
    return 0 if verified == len(records) else NOT_PROVED


def _read_certificates(path: str) -> Iterator[tuple[int | None, Any]]:
    """Read the certificates of a file: one, a list, or the records of --json."""
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ReadError(f"{path}: there is no such file.") from None
    except ValueError as error:
        raise ReadError(f"{path} holds no JSON ({error}); give a certificate that --out has written.") from None
    if not isinstance(value, list):
        yield None, value
        return
    for place, one in enumerate(value):
        if isinstance(one, dict) and "proved" in one:
            if not one["proved"]:
                continue
            one = one["certificate"]
        yield place, one
