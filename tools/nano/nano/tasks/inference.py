"""Conclusions from two or three sentences: kinds of things, and statements of the form "if … then …"."""

from random import Random

from ..phrasing import ask, pick
from .word_problems_en import NAMES as NAMES_EN
from .word_problems_zh import NAMES as NAMES_ZH

# Kinds as plural and singular; any may be said of any other, the premises alone count.
_KINDS_EN = [
    (word + "s", word)
    for word in (
        "zorp blip wug dorb fep glim norp tove blick snark quib vell mork plon trab zindle gazer lomp drim florp cat "
        "dog bird robot doctor "
        "student singer farmer plant animal tree sailor pirate painter teacher teapot whale insect rose lizard hunter "
        "baker dancer gnome "
        "knight engineer pilot wizard plumber"
    ).split()
]  # fmt: skip
_KINDS_ZH = (
    "猫 狗 鸟 鱼 机器人 医生 学生 歌手 农民 植物 动物 树 水手 海盗 画家 老师 昆虫 玫瑰 蜥蜴 猎人 面包师 舞者 骑士 工程师 飞行员 巫师 水管工 咕噜 "
    "布里 佐普 达克 格林 诺普 瓦格 托夫 皮皮 木木怪 嘟嘟 哈比 琪琪兽"
).split()  # fmt: skip

_CONCLUDE_EN = ("is {0} {1}", "can we conclude that {0} is {1}", "so is {0} {1}", "does it follow that {0} is {1}",
    "must {0} be {1}")


def _article(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _distinct(rng: Random, items: list, count: int) -> list:
    chosen: list = []
    while len(chosen) < count:
        item = pick(rng, items)
        if item not in chosen:
            chosen.append(item)
    return chosen


def syllogism(rng: Random, language: str) -> tuple[str, str, str]:
    """Question, reasoning and answer of a conclusion about a person or a kind: yes, no or unknown."""
    return _syllogism_zh(rng) if language == "zh" else _syllogism_en(rng)


def _syllogism_en(rng: Random) -> tuple[str, str, str]:
    (xs, x), (ys, y), (zs, z) = _distinct(rng, _KINDS_EN, 3)
    name = pick(rng, NAMES_EN)[0]
    all_ = pick(rng, (f"All {xs} are {ys}.", f"All {xs} are {ys}.", f"Every {x} is {_article(y)}.",
        f"Each {x} is {_article(y)}."))
    no = pick(rng, (f"No {xs} are {ys}.", f"No {x} is {_article(y)}."))
    some = f"Some {xs} are {ys}."
    y_is_z = pick(rng, (f"All {ys} are {zs}.", f"Every {y} is {_article(z)}."))
    no_z = pick(rng, (f"No {ys} are {zs}.", f"No {y} is {_article(z)}."))
    is_x, is_y = f"{name} is {_article(x)}.", f"{name} is {_article(y)}."
    not_x, not_y = f"{name} is not {_article(x)}.", f"{name} is not {_article(y)}."
    kind = int(rng.random() * 11)
    about, asked = name, y
    if kind == 0:
        premises, steps, answer = [all_, is_x], [is_x, f"All {xs} are {ys}, so {name} is {_article(y)}."], "yes"
    elif kind == 1:
        premises, steps, answer = [no, is_x], [is_x, f"No {xs} are {ys}, so {name} is not {_article(y)}."], "no"
    elif kind == 2:
        premises, steps, answer = [some, is_x], [is_x, f"Only some {xs} are {ys}, so it is open."], "unknown"
    elif kind == 3:
        premises, steps, answer, asked = [all_, is_y], [is_y,
            f"Not all {ys} need be {xs}, so it is open."], "unknown", x
    elif kind == 4:
        premises, steps, answer, asked = [all_, not_y], [not_y,
            f"All {xs} are {ys}, so {name} is not {_article(x)}."], "no", x
    elif kind == 5:
        premises, steps, answer = [all_, not_x], [not_x, f"Others than {xs} may be {ys}, so it is open."], "unknown"
    elif kind == 6:
        premises, asked, answer = [all_, y_is_z, is_x], z, "yes"
        steps = [is_x, f"All {xs} are {ys}, so {name} is {_article(y)}.",
            f"All {ys} are {zs}, so {name} is {_article(z)}."]
    elif kind == 7:
        premises, asked, answer = [all_, no_z, is_x], z, "no"
        steps = [is_x, f"All {xs} are {ys}, so {name} is {_article(y)}.",
            f"No {ys} are {zs}, so {name} is not {_article(z)}."]
    elif kind == 8:
        premises, asked, answer = [all_, is_x], z, "unknown"
        steps = [is_x, f"All {xs} are {ys}, so {name} is {_article(y)}.", f"Nothing is said of {zs}, so it is open."]
    elif kind == 9:
        premises, asked, answer = [all_, y_is_z], "", "yes"
        steps = [f"All {xs} are {ys}.", f"All {ys} are {zs}, so all {xs} are {zs}."]
        about = pick(rng, (f"are all {xs} {zs}", f"is every {x} {_article(z)}",
            f"does it follow that all {xs} are {zs}"))
    else:
        premises, asked, answer = [all_, no_z], "", "no"
        steps = [f"All {xs} are {ys}.", f"No {ys} are {zs}, so no {xs} are {zs}."]
        about = pick(rng, (f"is any {x} {_article(z)}", f"can {_article(x)} be {_article(z)}",
            f"are there {xs} that are {zs}"))
    if len(premises) == 2 and rng.random() < 0.3:
        premises.reverse()
    question = pick(rng, _CONCLUDE_EN).format(about, _article(asked)) if asked else about
    text = " ".join(premises) + " " + _capital(question) + "?"
    kind_of = rng.random()
    if kind_of < 0.1:
        text = text.lower()
    elif kind_of < 0.15:
        text = text[:-1]
    elif kind_of < 0.25:
        text += pick(rng, (" yes, no or unknown?", " Yes, no, or unknown?", " Answer yes, no or unknown."))
    elif kind_of < 0.35:
        text = pick(rng, ("Logic puzzle: ", "Question: ", "Suppose this: ", "A riddle: ", "Given: ")) + text
    return text, "\n".join(steps), answer


def _syllogism_zh(rng: Random) -> tuple[str, str, str]:
    x, y, z = _distinct(rng, _KINDS_ZH, 3)
    name = pick(rng, NAMES_ZH)[0]
    all_ = pick(rng, (f"所有的{x}都是{y}", f"所有{x}都是{y}", f"每个{x}都是{y}", f"凡是{x}都是{y}"))
    no, some = pick(rng, (f"没有{x}是{y}", f"所有{x}都不是{y}")), f"有些{x}是{y}"
    y_is_z, no_z = pick(rng, (f"所有{y}都是{z}", f"每个{y}都是{z}")), pick(rng, (f"没有{y}是{z}", f"所有{y}都不是{z}"))
    is_x, is_y, not_x, not_y = f"{name}是{x}", f"{name}是{y}", f"{name}不是{x}", f"{name}不是{y}"
    kind = int(rng.random() * 11)
    about, asked = name, y
    yes, no_, open_ = "是", "不是", "无法确定"
    if kind == 0:
        premises, steps, answer = [all_, is_x], [is_x, f"所有{x}都是{y}，所以{name}是{y}"], yes
    elif kind == 1:
        premises, steps, answer = [no, is_x], [is_x, f"没有{x}是{y}，所以{name}不是{y}"], no_
    elif kind == 2:
        premises, steps, answer = [some, is_x], [is_x, f"只有一些{x}是{y}，所以无法确定"], open_
    elif kind == 3:
        premises, steps, answer, asked = [all_, is_y], [is_y, f"{y}不一定都是{x}，所以无法确定"], open_, x
    elif kind == 4:
        premises, steps, answer, asked = [all_, not_y], [not_y, f"所有{x}都是{y}，所以{name}不是{x}"], no_, x
    elif kind == 5:
        premises, steps, answer = [all_, not_x], [not_x, f"不是{x}的也可能是{y}，所以无法确定"], open_
    elif kind == 6:
        premises, asked, answer = [all_, y_is_z, is_x], z, yes
        steps = [is_x, f"所有{x}都是{y}，所以{name}是{y}", f"所有{y}都是{z}，所以{name}是{z}"]
    elif kind == 7:
        premises, asked, answer = [all_, no_z, is_x], z, no_
        steps = [is_x, f"所有{x}都是{y}，所以{name}是{y}", f"没有{y}是{z}，所以{name}不是{z}"]
    elif kind == 8:
        premises, asked, answer = [all_, is_x], z, open_
        steps = [is_x, f"所有{x}都是{y}，所以{name}是{y}", f"没有说到{z}，所以无法确定"]
    elif kind == 9:
        premises, answer, about = [all_, y_is_z], yes, f"所有{x}"
        asked, steps = z, [f"所有{x}都是{y}", f"所有{y}都是{z}，所以所有{x}都是{z}"]
    else:
        premises, answer, about = [all_, no_z], no_, f"任何一个{x}"
        asked, steps = z, [f"所有{x}都是{y}", f"没有{y}是{z}，所以没有{x}是{z}"]
    if len(premises) == 2 and rng.random() < 0.3:
        premises.reverse()
    link = pick(rng, ("，", "，", "。", "；"))
    forms = ("{0}都是{1}吗",) if kind == 9 else ("{0}会是{1}吗", "{0}是{1}吗") if kind == 10 else (
        "{0}是{1}吗", "那么{0}是{1}吗", "{0}是不是{1}", "能推出{0}是{1}吗", "请问{0}是{1}吗",
    )  # fmt: skip
    ending = pick(rng, ("？", "？", "？", "？", "?", "", "？请回答是、不是或无法确定。"))
    opening = pick(rng, ("", "", "", "", "", "", "逻辑题：", "已知：", "问题：", "假设"))
    text = opening + link.join(premises) + "。" + pick(rng, forms).format(about, asked) + ending
    return text, "\n".join(step + "。" for step in steps), answer


_FACTS_EN = (
    "it rains", "the street is wet", "the lamp is on", "the door is open", "the alarm rings", "the cat sleeps",
    "the server is down", "the test passes", "the build fails", "the sun shines", "the bell rings",
    "the train is late", "the shop is closed", "the water boils", "the dog barks", "the light is red",
    "the phone is charged", "the cache is full", "the window is open", "the disk is full", "the engine runs",
)  # fmt: skip
_FACTS_ZH = (
    "下雨", "路面湿了", "灯亮着", "门开着", "警报响了", "猫在睡觉", "服务器停机", "测试通过", "构建失败", "出太阳", "铃响了", "火车晚点", "商店关门", "水开了", "狗在叫",
    "红灯亮了", "手机充满了电", "缓存满了", "窗户开着",
    "硬盘满了", "发动机在转",
)  # fmt: skip


def implication(rng: Random, language: str) -> tuple[str, str, str]:
    """Question, reasoning and answer: what follows from "if P then Q", or the truth of such a statement."""
    if rng.random() < 0.35:
        return _truth_of_if(rng, language)
    return _rule_zh(rng) if language == "zh" else _rule_en(rng)


def _truth_of_if(rng: Random, language: str) -> tuple[str, str, str]:
    first, second = rng.random() < 0.5, rng.random() < 0.5
    result = not first or second
    if language == "zh":
        words = ("假", "真")
        names = pick(rng, (("P", "Q"), ("p", "q"), ("A", "B"), ("甲", "乙"), ("X", "Y"),
            *[tuple(_distinct(rng, _FACTS_ZH, 2))] * 3))
        p, q = (f"“{name}”" if len(name) > 1 else name for name in names)
        form = pick(rng, ("{0}为{2}，{1}为{3}，“如果{0}则{1}”是真还是假", "已知{0}是{2}，{1}是{3}。命题“如果{0}，那么{1}”是真还是假",
         "{0}是{2}，{1}是{3}，那么{0}→{1}是真还是假", "若{0}为{2}且{1}为{3}，“若{0}则{1}”的真假如何"))
        if len(names[0]) > 1:
            form = form.replace("“如果{0}则{1}”", "如果{0}则{1}").replace("“如果{0}，那么{1}”",
             "如果{0}，那么{1}").replace("“若{0}则{1}”", "若{0}则{1}")
        question = ask(rng, "zh", "question", form, p, q, words[first], words[second])
        reason = f"前件为{words[first]}，后件为{words[second]}。\n" + ("只有前真后假时才为假，所以为" + words[result] + "。")
        return question, reason, words[result]
    words = ("false", "true")
    facts = _distinct(rng, _FACTS_EN, 2)
    p, q = pick(rng, (("P", "Q"), ("p", "q"), ("A", "B"), ("x", "y"), tuple(f'"{fact}"' for fact in facts),
        tuple(f'"{fact}"' for fact in facts)))
    form = pick(
        rng,
        (
            "{0} is {2} and {1} is {3}. is \"if {0} then {1}\" true or false",
            "if {0} is {2} and {1} is {3}, what is the truth value of {0} implies {1}",
            "let {0} be {2} and {1} be {3}. what is {0} -> {1}",
            "suppose {0} is {2} and {1} is {3}. is the statement if {0} then {1} true or false",
            "{0} = {2}, {1} = {3}. what is {0} implies {1}", "what is {0} -> {1} when {0} is {2} and {1} is {3}",
        ),
    )  # fmt: skip
    if p[0] == '"':
        form = form.replace('"if {0} then {1}"', "if {0} then {1}")
    question = ask(rng, "en", "question", form, p, q, words[first], words[second])
    reason = (
        f"The condition is {words[first]}, the consequence is {words[second]}.\n"
        f"Only true to false makes it false, so it is {words[result]}."
    )
    return question, reason, words[result]


def _negated_en(fact: str) -> str:
    if " is " in fact:
        return fact.replace(" is ", " is not ", 1)
    subject, verb = fact.rsplit(" ", 1)
    base = verb[:-2] if verb.endswith("sses") else verb[:-1]
    return f"{subject} does not {base}"


def _asked_en(fact: str) -> str:
    subject, verb = fact.rsplit(" is ", 1) if " is " in fact else fact.rsplit(" ", 1)
    if " is " in fact:
        return f"is {subject} {verb}"
    return f"does {subject} {verb[:-2] if verb.endswith('sses') else verb[:-1]}"


def _rule_en(rng: Random) -> tuple[str, str, str]:
    p, q = _distinct(rng, _FACTS_EN, 2)
    not_p, not_q = _negated_en(p), _negated_en(q)
    rule = pick(rng, (f"If {p}, then {q}.", f"If {p}, {q}.", f"Whenever {p}, {q}.", f"{_capital(q)} if {p}."))
    kind = int(rng.random() * 4)
    fact, asked, reason, answer = (
        (p, q, f"If {p}, then {q}, so yes.", "yes"),
        (not_q, p, f"If {p}, then {q}, but {not_q}, so no.", "no"),
        (q, p, f"If {p}, then {q}, but not the other way round, so it is open.", "unknown"),
        (not_p, q, f"If {p}, then {q}, but nothing is said for the other case, so it is open.", "unknown"),
    )[kind]
    question = pick(rng, (f"{_capital(_asked_en(asked))}?", f"{_capital(_asked_en(asked))}?", f"So {_asked_en(asked)}?",
        f"What follows: {_asked_en(asked)}?"))
    said = _capital(fact) + "."
    text = pick(rng, (f"{rule} {said} {question}", f"{rule} {said} {question}", f"{rule} Now {fact}. {question}",
        f"{said} {rule} {question}"))
    if rng.random() < 0.1:
        text = text.lower()
    if rng.random() < 0.12:
        text += pick(rng, (" Yes, no or unknown?", " Answer yes, no or unknown."))
    return text, f"{said}\n{reason}", answer


def _rule_zh(rng: Random) -> tuple[str, str, str]:
    p, q = _distinct(rng, _FACTS_ZH, 2)
    rule = pick(rng, (f"如果{p}，那么{q}。", f"如果{p}，就{q}。", f"只要{p}，就{q}。", f"要是{p}，那么{q}。"))
    kind = int(rng.random() * 4)
    base = f"如果{p}，那么{q}"
    fact, asked, reason, answer = (
        (p, q, f"{base}，所以成立。", "是"),
        (f"并非{q}", p, f"{base}，但并非{q}，所以不成立。", "不是"),
        (q, p, f"{base}，但反过来不一定，所以无法确定。", "无法确定"),
        (f"并非{p}", q, f"{base}，但没有说另一种情况，所以无法确定。", "无法确定"),
    )[kind]
    question = pick(rng, (f"是不是{asked}？", f"那么是不是{asked}？", f"可以断定{asked}吗？", f"能确定是{asked}吗？"))
    text = rule + pick(rng, ("现在", "", "已知")) + fact + "。" + question
    if rng.random() < 0.12:
        text += "请回答是、不是或无法确定。"
    return text, f"{fact}。\n{reason}", answer
