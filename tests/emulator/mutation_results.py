# SPDX-License-Identifier: Apache-2.0
"""mutation_results.py: what the tests of a family said to each mutation, and whether that is as it
should be; as a file that is checked in with the hash of the sources (mutation_sources.py)."""
import json
import random

from mutation_lists import WrongList, drawn_mutations, explained_survivors, listed_mutations, read_json
from mutation_run import CAUGHT, COUNTED, NOTICED, SAME_OBJECT, SURVIVED, Result, with_outcome

FEWEST_AGAIN = 3


class Outcomes:
    """Of a family: the results of its list, and the random ones that count. Both in their order."""

    def __init__(self, project, family, broken, chance):
        self.family = family
        self.broken, self.chance = broken, with_outcome(chance, *COUNTED)
        self.explained = explained_survivors(project, family.explained_path)

    def why(self, result):
        """Why a random survivor changes nothing, or None."""
        mutation = result.mutation
        return self.explained.get((mutation.file, mutation.old, mutation.new))

    def unexplained(self):
        return [r for r in with_outcome(self.chance, SURVIVED) if self.why(r) is None]

    def complaints(self):
        """What is not as it should be."""
        caught, asked = len(with_outcome(self.broken, CAUGHT)), self.family.random
        if caught < len(self.broken):
            yield f"of the list only {caught} of {len(self.broken)} are caught"
        if self.unexplained():
            yield f"random survivors that nothing explains: {len(self.unexplained())}"
        counted, noticed = len(self.chance), len(with_outcome(self.chance, *NOTICED))
        if counted < asked.count:
            yield f"only {counted} of {asked.count} random mutations, for no more can be made"
        if 100 * noticed < asked.minimum * counted:
            yield f"under {asked.minimum} percent of the random ones are noticed"

    def summary(self):
        return (f"caught {len(with_outcome(self.broken, CAUGHT))} / {len(self.broken)} of the list, "
                f"{len(with_outcome(self.chance, CAUGHT))} / {len(self.chance)} random ones; "
                f"noticed {len(with_outcome(self.chance, *NOTICED))} / {len(self.chance)} of those")


def same_text(mutation):
    return mutation.file, mutation.old, mutation.new


def write(path, outcomes, sources_hash, compiler):
    """One line for each mutation, so that a difference can be read."""
    text = lambda value: json.dumps(value, ensure_ascii=False)
    lines = ",\n    ".join
    broken = lines(f"{text(r.mutation.name)}: {text(r.outcome)}" for r in outcomes.broken)
    chance = lines(text([r.outcome, *same_text(r.mutation)]) for r in outcomes.chance)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"""{{
  "written by": "scripts/test --mutations {outcomes.family.name}",
  "compiler": {text(compiler)},
  "sources": {text(sources_hash)},
  "summary": {text(outcomes.summary())},
  "broken": {{
    {broken}
  }},
  "random": [
    {chance}
  ]
}}
""")


def recorded_hash(path):
    """The hash of the sources with which a file was made, or None if there is no file."""
    return read_json(path).get("sources") if path.exists() else None


def read(path, project, family):
    """The Outcomes of a file, each with the mutation that it belongs to today."""
    entries = read_json(path)
    listed = list(listed_mutations(project, family.broken_path))
    if list(entries["broken"]) != [m.name for m in listed]:
        raise WrongList(f"{path}: \"broken\" are other mutations than those of broken.json")
    broken = [Result(m, entries["broken"][m.name]) for m in listed]
    chance, drawn = [], drawn_mutations(project, family)
    for outcome, *changed in entries["random"]:  # in the order of the draw, so each is found once
        while drawn and same_text(drawn[0]) != tuple(changed):
            drawn.pop(0)
        if not drawn:
            raise WrongList(f"{path}: no random mutation, or not in this place: {changed}")
        chance.append(Result(drawn.pop(0), outcome))
    return Outcomes(project, family, broken, chance)


def draw(outcomes, seed):
    """A tenth of the results, but a few at least."""
    everything = [*outcomes.broken, *outcomes.chance]
    wanted = max(FEWEST_AGAIN, -(-len(everything) // 10))
    return random.Random(seed).sample(everything, min(wanted, len(everything)))


def agree(before, again):
    """Whether two runs say the same. How a mutation is noticed depends on the machine, and the compiler
    may see by itself that one changes nothing."""
    if before in NOTICED:
        return again in NOTICED
    return again in (SURVIVED, SAME_OBJECT)
