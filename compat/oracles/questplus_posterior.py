"""Compares posteriors of a margin search with those of QUEST+, given the same trials.

Reads one JSON object a line, as the example `margin_posteriors` of firedrill-judge prints
them, and prints the largest difference of any probability. It fails above 1e-9.
"""

import json
import sys

from questplus import QuestPlus

TOLERANCE = 1e-9


def posterior(case):
    """The marginals of break point and spread, by QUEST+."""
    means, deviations = case["break-points"], case["spreads"]
    quest = QuestPlus(
        stim_domain={"intensity": list(range(len(means) + 1))},
        param_domain={"mean": means, "sd": deviations, "lapse_rate": [case["lapse"]]},
        outcome_domain={"response": ["broken", "held"]},
        prior={"mean": case["prior"], "sd": case["prior-of-spreads"]},
        func="norm_cdf_2",
        stim_scale="linear",
    )
    for at, broken in case["trials"]:
        response = "broken" if broken else "held"
        quest.update(stim={"intensity": at}, outcome={"response": response})
    marginal = quest.marginal_posterior
    return list(marginal["mean"]) + list(marginal["sd"])


def main():
    cases, worst = 0, 0.0
    for line in sys.stdin:
        case = json.loads(line)
        ours = case["posterior"] + case["posterior-of-spreads"]
        theirs = posterior(case)
        if len(ours) != len(theirs):
            sys.exit(f"case {cases}: {len(ours)} probabilities of ours, {len(theirs)} of QUEST+")
        worst = max([worst] + [abs(a - b) for a, b in zip(ours, theirs)])
        cases += 1
    if cases == 0:
        sys.exit("no cases were given")
    print(f"{cases} posteriors beside questplus: the largest difference is {worst:.1e}")
    if not worst <= TOLERANCE:
        sys.exit(f"that is more than {TOLERANCE}")


main()
