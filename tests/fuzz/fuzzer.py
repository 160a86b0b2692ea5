"""Run one target under libFuzzer, which prefers inputs that reach new code.

Usage: python -m tests.fuzz.fuzzer TARGET OPTIONS…
"""

import sys

import atheris

with atheris.instrument_imports(include=["gateway"]):
    from tests.fuzz import targets


def main() -> None:
    name, *options = sys.argv[1:]
    atheris.Setup([sys.argv[0], *options], lambda data: targets.check_input(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
