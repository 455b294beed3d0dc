"""Writes ``docs/performance.md``, its Chinese page and their plots from the stored results.

    python -m benchmarks.performance
    python -m benchmarks.performance --check    says which files are out of date (exit code 1 when one is)

Everything on the pages comes from here; sentences stand beside their translation, and figures come from ``results``.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import results
from benchmarks.harness.results import Case

ROOT = Path(__file__).resolve().parents[1]
PAGE, CHINESE_PAGE, PLOTS = Path("docs/performance.md"), Path("docs/zh/performance.md"), Path("docs/performance")

PHRASES = {
    "transformers, padded to 128 (run_glue)": "transformers，补齐到 128（run_glue）",
    "transformers, padded to the longest row": "transformers，补齐到最长的一行",
    "transformers, model and tokenizer alone": "transformers，只有模型和分词器",
    "transformers, pipeline": "transformers，pipeline",
    "bertcore on MindSpore in fp32": "bertcore，MindSpore，fp32",
    "bertcore on torch": "bertcore，torch",
    "bertcore on MindSpore": "bertcore，MindSpore",
    "Trainer's script": "Trainer 的脚本",
    ", grouped by length": "，按长度分组",
    "datasets.map, threads": "datasets.map，多线程",
    "datasets.map, processes": "datasets.map，多进程",
    "not installed": "未安装",
    "no ONNX file, which onnxruntime's environment writes": "没有 ONNX 文件，它由 onnxruntime 的环境写出",
    "it ended with": "它的退出码为",
    "has no precision": "没有精度",
    "has no": "没有",
    ", ": "，",
}
"""Names of contenders and reasons in Chinese, longer ones first."""


BUSY = 1.0
"""Load beside the threads of a contender from which it is said."""


@dataclass
class Pages:
    """Both pages, line by line, and the plots by their file."""

    english: list[str] = field(default_factory=list)
    chinese: list[str] = field(default_factory=list)
    plots: dict[str, str] = field(default_factory=dict)

    def say(self, english: str, chinese: str) -> None:
        """A paragraph or a heading in both languages, with an empty line behind it."""
        self.english += [*wrapped(english), ""]
        self.chinese += [chinese, ""]

    def table(self, head: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], translated: Sequence[int]) -> None:
        """A table; the cells of the translated columns are put into Chinese."""
        rows = [*rows]
        for lines, language in ((self.english, 0), (self.chinese, 1)):
            lines.append(f"| {' | '.join(cell[language] for cell in head)} |")
            lines.append("|---" * len(head) + "|")
            for row in rows:
                cells = [
                    translate(cell) if language and column in translated else cell for column, cell in enumerate(row)
                ]
                lines.append(f"| {' | '.join(cells)} |")
            lines.append("")

    def plot(self, name: str, case: Case, key: str, english: str, chinese: str) -> None:
        """A plot of a case, above its table."""
        self.plots[f"{name}.svg"] = bars(case, key)
        self.english += [f"![{english}](performance/{name}.svg)", ""]
        self.chinese += [f"![{chinese}](../performance/{name}.svg)", ""]


def wrapped(text: str) -> list[str]:
    """Lines of at most 120 characters, inline code in one piece; a heading stays one."""
    if text.startswith("#"):
        return [text]
    lines = [""]
    for word in re.findall(r"(?:`[^`]*`|\S)+", text):
        if lines[-1] and len(lines[-1]) + len(word) > 119:
            lines.append("")
        lines[-1] += f"{' ' * bool(lines[-1])}{word}"
    return lines


def translate(text: str) -> str:
    """The name of a contender in Chinese."""
    for english, chinese in PHRASES.items():
        text = text.replace(english, chinese)
    return text


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values: Sequence[float]) -> str:
    """The median, and lowest and highest behind it."""
    return f"{number(values[0])} ({number(values[1])}–{number(values[2])})"


def percent(values: Sequence[float] | None) -> str:
    """A share, or nothing."""
    return "" if values is None else f"{100 * values[0]:.0f} %"


def bars(case: Case, key: str) -> str:
    """A bar for each contender at its median, with a line from lowest to highest; the same bytes every time."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "bertcore", "svg.fonttype": "none", "font.size": 9}):
        shown = [one for one in case["contenders"] if one.get(key) is not None]
        values = [one[key] if isinstance(one[key], list) else [one[key]] * 3 for one in shown]
        figure = Figure(figsize=(8, 0.32 * len(shown) + 0.7), layout="constrained")
        axes = figure.subplots()
        axes.barh(
            range(len(shown)),
            [value[0] for value in values],
            xerr=[[v[0] - v[1] for v in values], [v[2] - v[0] for v in values]],
            color=["#3f51b5" if one["name"].startswith("bertcore") else "#b0bec5" for one in shown],
            ecolor="#607d8b",
            height=0.7,
        )
        axes.set_yticks(range(len(shown)), [one["name"] for one in shown])
        axes.invert_yaxis()
        axes.set_xlabel(case["unit"])
        axes.spines[["top", "right"]].set_visible(False)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in file.getvalue().decode().splitlines()) + "\n"


def introduction(pages: Pages, cases: Sequence[Case]) -> None:
    """What the page is, and what was measured on."""
    pages.english += ["# Performance", "", "[简体中文](zh/performance.md)", ""]
    pages.chinese += ["# 性能", "", "[English](../performance.md)", ""]
    pages.say(
        "Speed and memory of bertcore beside its peers. Everything on this page is written by "
        "`python -m benchmarks.performance` from `benchmarks/results`, where each benchmark stores what it measured.",
        "bertcore 与同类工具的速度和内存对比。本页全部内容由 `python -m benchmarks.performance` 根据 `benchmarks/results` "
        "生成，每个基准测试都把测量结果存放在那里。",
    )
    pages.english += ["```sh", "make bench          # everything on this page, and this page", "```", ""]
    pages.chinese += ["```sh", "make bench          # 本页的全部内容，以及本页本身", "```", ""]
    pages.say(
        "All contenders of a table are given the same rows, weights, number of steps and threads. Each is a process of "
        "its own, peers in environments of their own, and they are asked in turn, round by round, so that what else the "
        "machine does meets all of them. The first round warms up and is not counted. Shown are medians over the rounds "
        "with lowest and highest in brackets; a ratio is the median of the ratios within a round.",
        "同一张表中的所有参与者使用相同的数据行、权重、步数和线程数。每个参与者是一个独立的进程，同类工具使用各自的环境；"
        "它们逐轮轮流执行，机器上的其他负载因此影响所有参与者。第一轮用于预热，不计入结果。表中是各轮的中位数，括号内是最低值和最高值；"
        "比值是各轮内比值的中位数。",
    )
    pages.say(
        "The share compares the products with the layers' matrices with the rate of the same products by the faster of "
        "the kernels that torch ships (oneDNN's and MKL's), measured in the same rounds: what a share lacks is attention, "
        "elementwise work and the update, or padding. torch itself, and so transformers, takes MKL's in fp32, which are "
        "slow on some processors. Ratios hold on other hosts of a kind, examples a second do not.",
        "份额把各层矩阵乘法的速率与同样几轮中用 torch 自带内核（oneDNN 和 MKL 中较快者）计算同样乘法的速率相比：缺少的部分是注意力、逐元素计算和参数更新，或者补齐。"
        "torch 本身以及 transformers 在 fp32 下使用 MKL 的内核，它在某些处理器上很慢。比值在同类主机上大致成立，每秒样本数则不然。",
    )
    busy = max((case["host"]["load"] - case["host"]["threads"] for case in cases), default=0.0)
    if busy > BUSY:
        pages.say(
            f"The machine had other work at the same time: a load of up to {busy:.1f} beside the benchmarks' own. It costs "
            "contenders unequally, for threads that wait for each other lose more than others do: take the ratios with "
            "care until they are measured on an idle machine.",
            f"测量时机器上还有其他工作：除基准测试本身以外，负载最高为 {busy:.1f}。它对各参与者的影响并不相同，互相等待的线程损失更大："
            "在空闲的机器上重新测量之前，请谨慎看待这些比值。",
        )
    hosts: dict[str, list[Case]] = {}
    for case in cases:
        hosts.setdefault(host_of(case), []).append(case)
    pages.table(
        [
            ("processor", "处理器"),
            ("cores", "核"),
            ("memory", "内存"),
            ("extensions", "扩展"),
            ("dates", "日期"),
            ("commits", "提交"),
        ],
        (
            (
                host_of(of_host[0]),
                str(of_host[0]["host"]["cores"]),
                f"{of_host[0]['host']['memory_gib']} GiB",
                " / ".join(of_host[0]["host"]["features"]),
                " ".join(sorted({case["date"] for case in of_host})),
                " ".join(sorted({f"`{case['commit']}`" for case in of_host})),
            )
            for of_host in hosts.values()
        ),
        translated=(),
    )
    found: dict[str, set[str]] = {}
    for case in cases:
        for name, version in case["versions"].items():
            found.setdefault(name, set()).add(version)
    pages.table(
        [("package", "软件包"), ("version", "版本")],
        ((name, " / ".join(sorted(found[name]))) for name in sorted(found)),
        translated=(),
    )


def host_of(case: Case) -> str:
    """The processor, with family and model where its name says little."""
    host = case["host"]
    family = f" ({host['cpu_family']}.{host['model']})" if "cpu_family" in host else ""
    return f"{host['processor']}{family}"


def training(pages: Pages) -> None:
    """Training steps."""
    cases = results.read("training")
    if not cases:
        return
    pages.say("## Training", "## 训练")
    pages.say(
        "Steps on RTE's pairs, at most 128 tokens, with dropout, AdamW and clipping, by `python -m benchmarks.training`. "
        "Weights are random in the size that is named. What grouping by length and bf16 bring to transformers is beside "
        "its defaults; what its Trainer costs beside a step is left out, in its favour.",
        "在 RTE 句对上的训练步，最长 128 个 token，带 dropout、AdamW 和梯度裁剪，由 `python -m benchmarks.training` 测量。"
        "权重是指定规模的随机权重。transformers 除默认设置外，还列出按长度分组和 bf16 的效果；"
        "它的 Trainer 在训练步之外的开销没有计入，这对它有利。",
    )
    for case in cases:
        size, precision = case["case"].split()
        pages.say(f"### {size} in {precision}", f"### {size}，{precision}")
        products_of(pages, case)
        pages.plot(
            f"training-{size.replace('/', '-')}-{precision}".lower(),
            *(
                case,
                "speed",
                f"Examples a second in training, {size}, {precision}",
                f"训练时每秒样本数，{size}，{precision}",
            ),
        )
        speeds(pages, case, labels=False)


def products_of(pages: Pages, case: Case) -> None:
    """Rows of a round and the rate of products."""
    settings, rates = case["settings"], case["products"]
    pages.say(
        f"Batches of {settings['batch_size']} rows, {settings['tokens']} tokens a row, {settings['rounds']} rounds. "
        f"Products of these shapes: {number(rates['fp32'][0])} GFLOP/s in fp32, {number(rates['bf16'][0])} in bf16.",
        f"每批 {settings['batch_size']} 行，平均每行 {settings['tokens']} 个 token，共 {settings['rounds']} 轮。"
        f"这些形状的矩阵乘法：fp32 为 {number(rates['fp32'][0])} GFLOP/s，bf16 为 {number(rates['bf16'][0])}。",
    )


def speeds(pages: Pages, case: Case, labels: bool) -> None:
    """Speed, ratio and share of each contender."""
    reference = case["reference"]
    head = [
        ("contender", "参与者"),
        ("examples/s", "样本/秒"),
        (f"over {reference}", f"相对于 {translate(reference)}"),
        ("share of the products' rate", "占矩阵乘法速率的份额"),
    ]
    rows = []
    for one in case["contenders"]:
        row = [one["name"], spread(one["speed"]), spread(one["ratio"]), percent(one["share"])]
        rows.append([*row, f"{one['labels']} of {case['settings']['rows']}"] if labels else row)
    if labels:
        head.append(("same labels", "标签相同"))
        rows = [[*row[:-1], row[-1].replace(" of ", "/")] for row in rows]
    pages.table(head, rows, translated=(0,))


def inference(pages: Pages) -> None:
    """Predictions of many rows."""
    cases = results.read("inference")
    if not cases:
        return
    pages.say("## Inference", "## 推理")
    pages.say(
        "MiniLM, fine-tuned for a few steps, predicts rows of token ids, sorted by length, by "
        "`python -m benchmarks.inference`. onnxruntime has its fused graph and its own dynamic int8, OpenVINO its hints "
        "of precision and NNCF's int8. Labels are compared with transformers' in fp32.",
        "微调了若干步的 MiniLM 对按长度排序的 token 行做预测，由 `python -m benchmarks.inference` 测量。onnxruntime 使用融合后的图和自带的动态 int8，"
        "OpenVINO 使用精度提示和 NNCF 的 int8。标签与 transformers 的 fp32 结果比较。",
    )
    titles = {"rte": ("Pairs of RTE", "RTE 句对"), "sst2": ("Short phrases of SST-2", "SST-2 短语")}
    for case in cases:
        english, chinese = titles[case["case"]]
        pages.say(f"### {english}", f"### {chinese}")
        products_of(pages, case)
        pages.plot(
            f"inference-{case['case']}",
            *(case, "speed", f"Examples a second in inference, {english}", f"推理时每秒样本数，{chinese}"),
        )
        speeds(pages, case, labels=True)


def times(pages: Pages, case: Case, unit: tuple[str, str]) -> None:
    """Time and ratio of each contender."""
    reference = case["reference"]
    pages.table(
        [("contender", "参与者"), unit, (f"times as fast as {reference}", f"速度为 {translate(reference)} 的几倍")],
        ((one["name"], spread(one["time"]), spread(one["ratio"])) for one in case["contenders"]),
        translated=(0,),
    )


def latency(pages: Pages) -> None:
    """One sentence."""
    for case in results.read("latency"):
        pages.say("## One sentence", "## 一个句子")
        pages.say(
            f"A sentence of {case['settings']['tokens']} tokens, from text to probabilities, through a model that stays "
            f"open (`bertcore.open`), by `python -m benchmarks.latency`; {case['settings']['rounds']} rounds.",
            f"一个 {case['settings']['tokens']} 个 token 的句子，从文本到概率，使用保持打开的模型（`bertcore.open`），"
            f"由 `python -m benchmarks.latency` 测量，共 {case['settings']['rounds']} 轮。",
        )
        pages.plot("latency", case, "time", "Milliseconds of one sentence", "一个句子的毫秒数")
        times(pages, case, ("ms", "毫秒"))


def crf(pages: Pages) -> None:
    """The conditional random field."""
    cases = results.read("crf")
    if not cases:
        return
    settings = cases[0]["settings"]
    pages.say("## Conditional random field", "## 条件随机场")
    pages.say(
        f"{settings['rows']} sequences of up to {settings['positions']} positions, fp32, by "
        f"`python -m benchmarks.crf`; {settings['rounds']} rounds. Loss and gradients are computed together.",
        f"{settings['rows']} 个最长 {settings['positions']} 个位置的序列，fp32，由 `python -m benchmarks.crf` 测量，"
        f"共 {settings['rounds']} 轮。损失和梯度一起计算。",
    )
    operations = {"loss and gradients": "损失和梯度", "decoding": "解码"}
    for case in cases:
        operation, tags = case["case"].removesuffix(" tags").split(", ")
        pages.say(f"### {operation.capitalize()}, {tags} tags", f"### {operations[operation]}，{tags} 个标注")
        times(pages, case, ("ms", "毫秒"))


def ner(pages: Pages) -> None:
    """Named entities."""
    cases = results.read("ner")
    if not cases:
        return
    settings = cases[0]["settings"]
    pages.say("## Named entities with a CRF", "## 带 CRF 的命名实体识别")
    pages.say(
        f"An encoder of L12/H384 with random weights on sentences as long as CLUENER's, {settings['tags']} tags, beside "
        "the way of bert4torch's script, by `python -m benchmarks.ner`.",
        f"L12/H384 的编码器，随机权重，句子长度与 CLUENER 相同，{settings['tags']} 个标注，与 bert4torch 脚本的做法对比，"
        "由 `python -m benchmarks.ner` 测量。",
    )
    titles = {"training": "训练", "tagging": "标注"}
    for case in cases:
        batch_size, rounds = case["settings"]["batch_size"], case["settings"]["rounds"]
        pages.say(f"### {case['case'].capitalize()}", f"### {titles[case['case']]}")
        pages.say(f"Batches of {batch_size}, {rounds} rounds.", f"每批 {batch_size} 句，共 {rounds} 轮。")
        pages.table(
            [
                ("contender", "参与者"),
                ("sentences/s", "句/秒"),
                (f"over {case['reference']}", f"相对于 {case['reference']}"),
            ],
            ((one["name"], spread(one["speed"]), spread(one["ratio"])) for one in case["contenders"]),
            translated=(0,),
        )


def startup(pages: Pages) -> None:
    """The first step after the command."""
    for case in results.read("startup"):
        pages.say("## First training step", "## 第一个训练步")
        pages.say(
            "Seconds from the command to the end of the first training step on RTE, with encoded data and compiled "
            f"graphs cached, by `python -m benchmarks.startup`; {case['settings']['rounds']} rounds.",
            "从命令开始到 RTE 上第一个训练步结束的秒数，编码后的数据和编译好的图已缓存，"
            f"由 `python -m benchmarks.startup` 测量，共 {case['settings']['rounds']} 轮。",
        )
        pages.plot("startup", case, "time", "Seconds to the first step", "到第一步为止的秒数")
        times(pages, case, ("s", "秒"))


def encoding(pages: Pages) -> None:
    """From texts to token ids."""
    cases = {case["case"]: case for case in results.read("encoding")}
    if not cases:
        return
    pages.say("## Encoding", "## 编码")
    if "speed" in cases:
        encoding_speed(pages, cases["speed"])
    if "memory" in cases:
        encoding_memory(pages, cases["memory"])


def encoding_speed(pages: Pages, speed: Case) -> None:
    """Pairs a second."""
    pages.say(
        f"{speed['settings']['pairs']} pairs of RTE's texts, no two the same, by `python -m benchmarks.encoding`; "
        f"{speed['settings']['rounds']} rounds.",
        f"{speed['settings']['pairs']} 个取自 RTE 的句对，互不相同，由 `python -m benchmarks.encoding` 测量，"
        f"共 {speed['settings']['rounds']} 轮。",
    )
    reference = speed["reference"]
    pages.table(
        [("contender", "参与者"), ("pairs/s", "句对/秒"), (f"over {reference}", f"相对于 {translate(reference)}")],
        ((one["name"], spread(one["speed"]), spread(one["ratio"])) for one in speed["contenders"]),
        translated=(0,),
    )


def encoding_memory(pages: Pages, memory: Case) -> None:
    """The memory of many pairs."""
    pages.say(
        f"With {memory['settings']['pairs']} pairs, memory at most above what the imports took; bertcore's is of reading, "
        "encoding and planning an epoch, that of `datasets.map` of mapping alone.",
        f"对 {memory['settings']['pairs']} 个句对，超出导入所占内存的最大值；bertcore 的值包括读取、编码和安排一轮的批次，"
        "`datasets.map` 的值只包括映射。",
    )
    pages.table(
        [("contender", "参与者"), ("MiB", "MiB"), ("s", "秒")],
        ((one["name"], str(one["memory"]), str(one["time"])) for one in memory["contenders"]),
        translated=(0,),
    )


def memory(pages: Pages) -> None:
    """Peak memory of commands."""
    cases = results.read("memory")
    if not cases:
        return
    settings = cases[0]["settings"]
    pages.say("## Memory of training", "## 训练的内存")
    pages.say(
        f"The most that the whole command held, with all that it imports: {settings['steps']} steps on RTE in batches of "
        f"{settings['batch_size']}, an evaluation and a saved model, MiniLM, by `python -m benchmarks.memory`.",
        f"整个命令占用内存的最大值，包括它导入的一切：MiniLM 在 RTE 上训练 {settings['steps']} 步，每批 {settings['batch_size']} 行，"
        "一次评估并保存模型，由 `python -m benchmarks.memory` 测量。",
    )
    pages.table(
        [("command", "命令"), ("MiB", "MiB"), ("of the script's", "与脚本之比")],
        ((one["name"], spread(one["memory"]), spread(one["ratio"])) for case in cases for one in case["contenders"]),
        translated=(0,),
    )


GROWING = {
    "examples": ("examples, read, encoded and planned", "样本数：读取、编码、安排批次"),
    "tokens": ("tokens of a row, 2048 in a batch", "每行 token 数，每批共 2048 个"),
    "rows": ("rows of a batch, 32 tokens each", "每批行数，每行 32 个 token"),
    "labels": ("labels, 32 rows of 32 tokens", "标签数，32 行，每行 32 个 token"),
}


def scaling(pages: Pages) -> None:
    """How costs grow."""
    cases = results.read("scaling")
    if not cases:
        return
    pages.say("## How costs grow", "## 成本如何增长")
    pages.say(
        "The cost of one unit at each size over that at the first: 1 is in proportion, less is better, by "
        "`python -m benchmarks.scaling`. Steps are in fp32, L6/H384, on torch. Only attention may grow faster, with the "
        "tokens of a row.",
        "每种规模下一个单位的成本与最小规模之比：1 表示成正比，越小越好，由 `python -m benchmarks.scaling` 测量。"
        "训练步为 fp32、L6/H384、torch。只有注意力允许随每行 token 数更快增长。",
    )
    for case in cases:
        english, chinese = GROWING[case["case"]]
        pages.table(
            [(english, chinese), ("ms", "毫秒"), ("cost of one unit", "单位成本")],
            ((one["name"], spread(one["time"]), spread(one["cost"])) for one in case["contenders"]),
            translated=(),
        )


def gpu(pages: Pages) -> None:
    """One CUDA card."""
    cases = results.read("gpu")
    pages.say("## One CUDA card", "## 一块 CUDA 卡")
    if not cases:
        pages.say(
            "Not measured: `benchmarks/gpu.sh` is ready to measure everything on one card with one command, and was "
            "never run on one; only its Python part was, on a CPU with a tiny model.",
            "没有测量：`benchmarks/gpu.sh` 可以用一个命令在一块卡上测量全部内容，但从未在卡上运行过；"
            "只有其中的 Python 部分在 CPU 上用极小的模型运行过。",
        )
        return
    devices = " / ".join(sorted({case["device"] for case in cases}))
    pages.say(f"By `benchmarks/gpu.sh` on {devices}.", f"由 `benchmarks/gpu.sh` 在 {devices} 上测量。")
    for case in cases:
        pages.say(f"### {case['case']}", f"### {translate(case['case'])}")
        pages.table(
            [
                ("contender", "参与者"),
                (case["unit"], case["unit"]),
                ("ratio", "比值"),
                ("share of the products' rate", "占矩阵乘法速率的份额"),
            ],
            (
                (one["name"], spread(one["value"]), spread(one["ratio"]), percent(one.get("share")))
                for one in case["contenders"]
            ),
            translated=(0,),
        )


def left_out(pages: Pages, cases: Sequence[Case]) -> None:
    """Who took no part, and why."""
    rows = [
        (case["benchmark"], name, reason.partition(": ")[2] or reason)
        for case in cases
        for name, reason in case["absent"].items()
    ]
    pages.say("## Left out", "## 未参与")
    if not rows:
        pages.say("Nothing.", "没有。")
        return
    pages.table(
        [("benchmark", "基准测试"), ("contender", "参与者"), ("why", "原因")], dict.fromkeys(rows), translated=(1, 2)
    )


SECTIONS = (training, inference, latency, ner, crf, startup, encoding, memory, scaling, gpu)
BENCHMARKS = ("training", "inference", "latency", "ner", "crf", "startup", "encoding", "memory", "scaling", "gpu")


def written() -> dict[Path, str]:
    """Every file of the pages with its text, from the stored results."""
    pages = Pages()
    cases = [case for benchmark in BENCHMARKS for case in results.read(benchmark)]
    introduction(pages, cases)
    for section in SECTIONS:
        section(pages)
    left_out(pages, cases)
    return {
        PAGE: "\n".join(pages.english).rstrip() + "\n",
        CHINESE_PAGE: "\n".join(pages.chinese).rstrip() + "\n",
        **{PLOTS / name: text for name, text in pages.plots.items()},
    }


def stale(files: dict[Path, str]) -> Iterator[Path]:
    """Files that are missing, differ, or are there and should not be."""
    for file, text in files.items():
        if not (ROOT / file).exists() or rounded(file, (ROOT / file).read_text(encoding="utf-8")) != rounded(
            file, text
        ):
            yield file
    for file in sorted((ROOT / PLOTS).glob("*.svg")):
        if file.relative_to(ROOT) not in files:
            yield file.relative_to(ROOT)


def rounded(file: Path, text: str) -> str:
    """A plot with its coordinates to a tenth, whose further digits another host may draw otherwise; pages as they are."""
    return re.sub(r"\d+\.\d+", lambda found: f"{float(found[0]):.1f}", text) if file.suffix == ".svg" else text


def main(words: list[str] | None = None) -> int:
    """Writes or checks all files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args(words).check
    files = written()
    changed = [*stale(files)]
    if check:
        if changed:
            print(f"out of date: {', '.join(map(str, changed))}; run python -m benchmarks.performance", file=sys.stderr)
        return int(bool(changed))
    for file in changed:
        if file in files:
            (ROOT / file).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / file).write_text(files[file], encoding="utf-8")
        else:
            (ROOT / file).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
