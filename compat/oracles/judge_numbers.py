"""Compares the judge's numbers (standard input, one JSON object per line) with other programs.

savvi for counts; for the rest scipy's functions in the textbook's form of each formula, which
is not the form that the judge computes it in.
"""

import json
import sys
import warnings

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import betainc, betaln, gammainc, gammaincc, gammaln

warnings.filterwarnings("ignore")
from savvi.multinomial import InhomogeneousPoissonProcess, Multinomial  # noqa: E402

ALPHA = 0.05
differences = []
comparisons = 0


def same(what, ours, theirs, tolerance):
    global comparisons
    comparisons += 1
    if ours is None or theirs is None:
        fits = ours is theirs
    else:
        ours, theirs = float(ours), float(theirs)
        fits = abs(ours - theirs) <= tolerance * max(1.0, abs(theirs))
    if not fits:
        differences.append(f"{what}: {ours}, oracle {theirs}")


def ln_mixture(share, first, second, k):
    """ln of a Beta(k share, k (1 - share)) mixture over the binomial likelihood at `share`."""
    prior = (k * share, k * (1 - share))
    likelihood = first * np.log(share) + second * np.log1p(-share)
    return betaln(prior[0] + first, prior[1] + second) - betaln(*prior) - likelihood


def concentration(tightest_at, alpha=ALPHA):
    twice = 2 * np.log(1 / alpha)
    return max(tightest_at / (twice + np.log(1 + twice)) - 1, 1e-3)


def counts(c):
    shares = np.array(c["shares"])
    weights = np.zeros((1, len(shares)))
    weights[0, :2] = [-1, 1]
    process = InhomogeneousPoissonProcess(ALPHA, shares, weights, c["k"])
    test = Multinomial(ALPHA, shares, c["k"])
    for batch in c["batches"]:
        process.update(np.array(batch))
        process.infer()
        test.update(np.array(batch))
    same("ln of the Bayes factor", c["ln"], float(np.log(process.odds)), 1e-7)
    same("p-value", c["p"], float(process.p_value[0]), 1e-7)
    low, high = process.conf_int[0]
    if c["log_ratio"] is None:
        same("contradiction", low > high, True, 0)
    else:
        # Found by a convex solver, to about five digits.
        same("log rate ratio, low", c["log_ratio"][0], float(low), 1e-4)
        same("log rate ratio, high", c["log_ratio"][1], float(high), 1e-4)
    low, high = test.calculate_conf_int()[0]
    same("share of an arm, low", c["share"][0], float(low), 1e-4)
    same("share of an arm, high", c["share"][1], float(high), 1e-4)


def excess(c):
    share = c["ratio"] / (3 + c["ratio"])
    k, first, second = c["k"], c["experiment"], c["control"]
    above = betainc(k * (1 - share) + second, k * share + first, 1 - share)
    prior = betainc(k * (1 - share), k * share, 1 - share)
    theirs = ln_mixture(share, first, second, k) + np.log(above) - np.log(prior)
    if np.isfinite(theirs):
        same("excess", c["ln"], theirs, 1e-7)


def share(c):
    good, bad, k = c["good"], c["bad"], concentration(c["tightest_at"])
    if good + bad == 0:
        return
    bar, observed = np.log(1 / c["alpha"]), good / (good + bad)
    root = lambda a, b: brentq(lambda p: ln_mixture(p, good, bad, k) - bar, a, b, xtol=1e-13)
    same("share, low", c["interval"][0], root(1e-15, observed) if good else 0.0, 1e-7)
    same("share, high", c["interval"][1], root(observed, 1 - 1e-15) if bad else 1.0, 1e-7)


def gamma_rho(v, alpha):
    twice = 2 * np.log(1 / (2 * alpha))
    return v / (twice + np.log(1 + twice))


def mean(c):
    units = np.array(c["values"]) / 7.0
    sums = np.concatenate([[0.0], np.cumsum(units)[:-1]])
    before = np.where(np.arange(len(units)) == 0, 0.5, sums / np.maximum(np.arange(len(units)), 1))
    v = np.sum((units - before) ** 2)
    rho = gamma_rho(10.0, ALPHA / 2)

    def ln(s):
        lead = rho * np.log(rho) - gammaln(rho) - np.log(gammainc(rho, rho))
        return (lead + gammaln(v + rho) + np.log(gammainc(v + rho, s + v + rho))
                - (v + rho) * np.log(s + v + rho) + s + v)

    reach = brentq(lambda s: ln(s) - np.log(2 / ALPHA), 0, 1e4, xtol=1e-12) / len(units)
    average = units.mean()
    same("mean, low", c["interval"][0], 7 * max(average - reach, 0.0), 1e-7)
    same("mean, high", c["interval"][1], 7 * min(average + reach, 1.0), 1e-7)


def rate(c):
    rho, v = gamma_rho(10.0, ALPHA), c["rate_max"] * c["exposure"]
    a, x = c["events"] + rho, v + rho
    lead = rho * np.log(rho) - gammaln(rho) - np.log(gammaincc(rho, rho))
    theirs = lead + gammaln(a) + np.log(gammaincc(a, x)) - a * np.log(x) + v
    if np.isfinite(theirs):
        same("rate", c["ln"], theirs, 1e-7)


def quantile(c):
    values, n = np.sort(c["values"]), len(c["values"])
    k = concentration(1000.0)
    inside = [r for r in range(n + 1) if ln_mixture(c["p"], r, n - r, k) <= np.log(1 / ALPHA)]
    low = 0 if inside[0] == 0 else int(values[inside[0] - 1])
    high = None if inside[-1] >= n else int(values[inside[-1]])
    same("quantile, low", c["interval"][0], low, 0)
    same("quantile, high", c["interval"][1], high, 0)


def z(x, y, mu):
    """Of the tie-corrected rank sum at this shift, with continuity correction."""
    n, m = len(x), len(y)
    ranks = stats.rankdata(np.concatenate([x - mu, y]))
    ties = np.unique(ranks, return_counts=True)[1]
    w = ranks[:n].sum() - n * (n + 1) / 2 - n * m / 2
    total = n + m
    variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum() / (total * (total - 1)))
    return (w - 0.5 * np.sign(w)) / np.sqrt(variance)


def ranks(c):
    x, y = np.array(c["experiment"]), np.array(c["control"])
    if c["u"] is not None:
        test = stats.mannwhitneyu(x, y, method="asymptotic")
        same("Mann-Whitney U", c["u"], float(test.statistic), 1e-12)
        same("Mann-Whitney p", c["p"], float(test.pvalue), 1e-7)
    if c["shift"] is None:
        return
    estimate, low, high = c["shift"]
    critical = stats.norm.ppf(0.99)
    smallest, largest = x.min() - y.max(), x.max() - y.min()
    for what, ours, level in [("estimate", estimate, 0.0), ("low", low, critical), ("high", high, -critical)]:
        # z falls in steps: at the root it goes through its level, or stays at it.
        before, after = z(x, y, ours - 2e-4), z(x, y, ours + 2e-4)
        is_end = (ours == smallest and z(x, y, ours) <= level) or (ours == largest and z(x, y, ours) >= level)
        same(f"shift, {what} at {ours}", is_end or (before >= level - 1e-9 and after <= level + 1e-9), True, 0)
    if low > smallest and high < largest:
        median = np.median(np.subtract.outer(x, y))
        step = np.abs(np.subtract.outer(x, y) - median)
        near = step[step > 0].min() if (step > 0).any() else 0.0
        same("Hodges-Lehmann is about the median difference", abs(estimate - median) <= near + 1e-3, True, 0)


def ratio(c):
    good, n = c["good"], c["n"]
    low = stats.beta.ppf(ALPHA, good, n - good + 1) if good else 0.0
    high = stats.beta.ppf(1 - ALPHA, good + 1, n - good) if good < n else 1.0
    same("Clopper-Pearson, low", c["low"], float(low), 1e-8)
    same("Clopper-Pearson, high", c["high"], float(high), 1e-8)


for line in sys.stdin:
    case = json.loads(line)
    found = len(differences)
    globals()[case["case"]](case)
    for at in range(found, len(differences)):
        differences[at] = f"{case['case']}: {differences[at]}"

for difference in differences:
    print(difference, file=sys.stderr)
print(f"judge: {comparisons} numbers compared with savvi and scipy, {len(differences)} different")
sys.exit(1 if differences or comparisons == 0 else 0)
