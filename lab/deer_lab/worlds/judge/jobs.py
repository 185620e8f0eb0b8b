"""What one job of an evaluation is: a chain, or a task by itself, and which policy does it.

A job runs in a process or on a machine of its own that knows it by this module's name, so what it needs is picklable.
"""

import dataclasses
import functools
import hashlib
import multiprocessing.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from deer_lab.manifest import fingerprint
from deer_lab.plan import PlanLimits
from deer_lab.worlds.catalog import DEFAULT, own_world
from deer_lab.worlds.judge import protocol
from deer_lab.worlds.judge.policies import POLICIES, Policy, Taken
from deer_lab.worlds.world import Chain, World


@dataclass(frozen=True)
class Outcome:
    """How one task ended. `taken` [steps]: what each step took, where there is a network."""

    task: str
    success: bool
    steps: int
    taken: tuple[Taken, ...] = ()


SENTENCES = ("validation", "test")  # what is said: evaluation's own sentence, or those that nothing was trained on


def sentence_for(world: World, task: str, sentences: str, turn: int) -> str:
    """One of SENTENCES' for a task; of several, each in its turn."""
    phrasings = world.tasks[task]
    return phrasings.validation if sentences == "validation" else phrasings.test[turn % len(phrasings.test)]


def attempt(
    world: World,
    policy: Policy,
    task: str,
    *,
    seed: list[int],
    limit: int,
    sentences: str = "validation",
    watch: Callable[[], None] = lambda: None,
) -> Outcome:
    """Lets `policy` do `task` for at most `limit` steps. `watch` is called before each step."""
    policy.begin(task, sentence_for(world, task, sentences, sum(seed)), seed)
    before = world.state()
    for step in range(1, limit + 1):
        watch()
        world.step(policy.act(world))
        if world.done(task, before, world.state()):
            return Outcome(task, True, step, tuple(policy.taken))
    return Outcome(task, False, limit, tuple(policy.taken))


def run_chain(world: World, policy: Policy, chain: Chain, *, seed: list[int], **how: Any) -> list[Outcome]:
    """The outcomes of a chain's tasks up to and including the first failure. `how`: attempt's `sentences`, `watch`."""
    world.reset(chain.initial)
    outcomes = []
    for k, task in enumerate(chain.tasks):
        outcomes.append(attempt(world, policy, task, seed=[*seed, k], limit=protocol.MAX_STEPS, **how))
        if not outcomes[-1].success:
            break
    return outcomes


@dataclass(frozen=True)
class Judged:
    """What is judged, and where: one of POLICIES by name, a bundle that the program `node` runs, or a training run.

    `thresholds`, one an exit but the last, take the place of the bundle's, as limits on `metric`; a run without them
    goes to full depth. `assignments`: parameters of the node, each as NAME:=VALUE; of a run those of its plan.
    `sentences`: one of SENTENCES.
    """

    policy: str | None = None
    bundle: Path | None = None
    node: Path | None = None
    run: Path | None = None
    thresholds: tuple[float, ...] | None = None
    metric: str = "rms"
    assignments: tuple[str, ...] = ()
    world: str = DEFAULT
    sentences: str = "validation"

    def identity(self) -> str:
        """Names it in results.json; another bundle of the same name is another, and so is one with other thresholds."""
        said = "" if self.sentences == "validation" else f" {self.sentences} sentences"
        if self.policy is not None:
            return self.policy + said
        weights = self.bundle / "manifest.json" if self.bundle else self.run / "policy.safetensors"
        limits = f" {self.metric} thresholds {self.thresholds}" if self.thresholds else ""
        limits += "".join(f" {assignment}" for assignment in self.assignments)
        return f"{weights.parent.name} {hashlib.sha256(weights.read_bytes()).hexdigest()}{limits}{self._solved()}{said}"

    def _solved(self) -> str:
        """Of the bundle's files that change without a new model, those that its exits follow from here."""
        if self.bundle is None:
            return ""
        names = ["predictor.json"] if self.thresholds else ["predictor.json", "thresholds.json"]
        if any(assignment.startswith("budget.") for assignment in self.assignments):
            names += ["calibration.json", "plans.json"]
        found = [self.bundle / name for name in names if (self.bundle / name).is_file()]
        return "".join(f" {path.name} {fingerprint(path)['sha256']}" for path in found)


@functools.cache
def own_policy(judged: Judged) -> Policy:
    """This process's policy."""
    if judged.policy is not None:
        return POLICIES[judged.policy]()
    if judged.run is not None:
        from deer_lab.worlds.judge.torch_policy import TorchPolicy  # only here: the others need no PyTorch

        return TorchPolicy.from_run(judged.run, judged.thresholds, PlanLimits.of(judged.assignments))
    from deer_lab.worlds.judge.node_policy import NodePolicy  # only here: the others need no ROS

    policy = NodePolicy(judged.node, judged.bundle, judged.thresholds, judged.metric, judged.assignments)
    multiprocessing.util.Finalize(None, policy.close, exitpriority=1)  # a worker runs no atexit handlers
    return policy


def chain_job(judged: Judged, number: int, seed: int) -> dict:
    """One chain of the fixed ones, as an entry of results.json."""
    chain = fixed_chains(judged.world)[number]
    world, policy = own_world(judged.world), own_policy(judged)
    outcomes = run_chain(world, policy, chain, seed=[seed, number], sentences=judged.sentences)
    return entry_of(number, chain.tasks, outcomes)


def entry_of(number: int, tasks: tuple[str, ...], outcomes: list[Outcome]) -> dict:
    """A chain's entry of results.json."""
    return {
        "chain": number,
        "tasks": tasks,
        "succeeded": sum(outcome.success for outcome in outcomes),
        "outcomes": [dataclasses.asdict(outcome) for outcome in outcomes],
    }


@functools.cache
def fixed_chains(world: str) -> list[Chain]:
    """A world's chains, read once."""
    return own_world(world).chains()


def single_job(judged: Judged, number: int, seed: int) -> dict:
    """One task from a random state, as an entry of results.json; `number` runs through the tasks again and again."""
    world = own_world(judged.world)
    task = list(world.tasks)[number % len(world.tasks)]
    world.begin(task, np.random.default_rng([seed, number]))
    how = {"limit": world.expert_steps, "sentences": judged.sentences}
    outcome = attempt(world, own_policy(judged), task, seed=[seed, number], **how)
    return entry_of(number, (task,), [outcome])
