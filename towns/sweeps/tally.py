"""What a sweep counts: results, and for each breaker's scope how many fail."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from towns.policy import Judgement, Share
from towns.standing import scopes_of
from towns.words import CheckResult


@dataclass(slots=True)
class Tally:
    """What a sweep counted; `shares` by breaker scope."""

    results: Counter[str] = field(default_factory=Counter)
    shares: defaultdict[str, Share] = field(default_factory=lambda: defaultdict(Share))

    @property
    def blind(self) -> bool:
        """Whether nothing is known of any town that was asked."""
        known = self.results[CheckResult.OK.value] + self.results[CheckResult.FAILED.value]
        return self.results[CheckResult.UNKNOWN.value] > 0 and not known

    def count(self, judgement: Judgement, *, region: str, image: str, failing: bool) -> None:
        """Count a town's check; `failing`: it failed before."""
        self.results[judgement.result.value] += 1
        if judgement.result == CheckResult.UNKNOWN:
            return
        fails = judgement.result == CheckResult.FAILED
        self._add(region, image, Share(1, int(fails and not failing), int(fails)))

    def count_well(self, region: str, image: str, towns: int) -> None:
        """Count that many good checks of towns that did not fail before."""
        self.results[CheckResult.OK.value] += towns
        self._add(region, image, Share(towns))

    def _add(self, region: str, image: str, share: Share) -> None:
        for scope in scopes_of(region, image):
            self.shares[scope] += share

    def as_json(self) -> dict[str, Any]:
        """For `SweepChunk.counts`."""
        shares = {s: [v.probed, v.newly_failing, v.failing] for s, v in self.shares.items()}
        return {"results": dict(self.results), "shares": shares}

    def add_json(self, counts: dict[str, Any]) -> None:
        """Add what another chunk counted."""
        self.results.update(counts.get("results", {}))
        for scope, numbers in counts.get("shares", {}).items():
            self.shares[scope] += Share(*numbers)
