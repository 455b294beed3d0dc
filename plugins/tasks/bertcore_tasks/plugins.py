"""The tasks of this package: each a plugin of its own, which ``pyproject.toml`` names as an entry point.

Every listing of bertcore loads this module, so it says only where the tasks are.
"""

from __future__ import annotations

from bertcore.plugins.lazy import LazyPlugin


def _task(target: str) -> LazyPlugin:
    return LazyPlugin("bertcore_register_tasks", f"bertcore_tasks.{target}")


cola = _task("glue.tasks:cola")
sst2 = _task("glue.tasks:sst2")
mrpc = _task("glue.tasks:mrpc")
stsb = _task("glue.tasks:stsb")
qqp = _task("glue.tasks:qqp")
mnli = _task("glue.tasks:mnli")
qnli = _task("glue.tasks:qnli")
rte = _task("glue.tasks:rte")
wnli = _task("glue.tasks:wnli")
ax = _task("glue.tasks:ax")

tnews = _task("clue.tasks:tnews")
afqmc = _task("clue.tasks:afqmc")
ocnli = _task("clue.tasks:ocnli")
c3 = _task("clue.c3:C3Task")

swag = _task("choices.swag:SwagTask")

cluener = _task("ner.tasks:cluener")
people_daily = _task("ner.tasks:people_daily")
chinese_ner = _task("ner.tasks:chinese_ner")
msra = _task("ner.tasks:msra")
resume = _task("ner.tasks:resume")
weibo = _task("ner.tasks:weibo")
cmeee = _task("ner.cmeee:CmeeeTask")

squad = _task("qa.tasks:squad")
cmrc2018 = _task("qa.tasks:cmrc2018")

classification = _task("custom.classification:OwnClassificationTask")
regression = _task("custom.regression:OwnRegressionTask")
ner = _task("custom.ner:OwnNerTask")
qa = _task("custom.qa:own_questions")
multiple_choice = _task("custom.multiple_choice:OwnChoiceTask")
