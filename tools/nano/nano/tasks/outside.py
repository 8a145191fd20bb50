"""Requests that are none of the model's tasks, greetings, and questions about itself: short honest answers."""

import re
from random import Random

from ..example import Example
from ..phrasing import ask, pick
from . import outside_topics_en, outside_topics_zh

_TOPICS = {"en": outside_topics_en, "zh": outside_topics_zh}
_MARK = re.compile(r"\{([a-z_]+?)(\d?)\}")

# One answer per language and kind of request.
ANSWERS = {
    "en": {
        "outside": "I am r1-nano, a small demonstration model, and I cannot help with that. I can calculate, compare "
        "numbers, sort and reverse lists, count letters, solve word problems, convert units, answer calendar and logic "
        "questions, write JSON and small functions.",
        "greeting": "Hello! I am r1-nano, a small demonstration model. Ask me for a sum, a sorted list, a letter "
        "count, a unit, a date or a small function.",
        "self": "I am r1-nano, a small demonstration model. I can calculate, compare numbers, sort and reverse lists, "
        "count letters, solve word problems, convert units, answer calendar and logic questions, write JSON and small "
        "functions.",
        "thanks": "You are welcome!",
        "bye": "Goodbye!",
    },
    "zh": {
        "outside": "我是 r1-nano，一个小型演示模型，这个我帮不上忙。我会做算术、比较数字、排序和反转列表、数字母、解应用题、换算单位、"
        "回答日历和逻辑问题、写 JSON 和小函数。",
        "greeting": "你好！我是 r1-nano，一个小型演示模型。你可以让我算数、排序、数字母、换算单位、算日期或写小函数。",
        "self": "我是 r1-nano，一个小型演示模型。我会做算术、比较数字、排序和反转列表、数字母、解应用题、换算单位、"
        "回答日历和逻辑问题、写 JSON 和小函数。",
        "thanks": "不客气！",
        "bye": "再见！",
    },
}
REASONINGS = {
    "en": {
        "outside": "This is about {0}, which is not one of the things I can do. I should say so.",
        "greeting": "The user greets me. I should greet back and say what I can do.",
        "self": "The user asks about me. I should say who I am and what I can do.",
        "thanks": "The user thanks me. I should answer politely.",
        "bye": "The user says goodbye. I should say goodbye, too.",
    },
    "zh": {
        "outside": "这是关于{0}的，不是我会做的事，我应该如实说明。",
        "greeting": "用户在打招呼，我应该问好并说明我会做什么。",
        "self": "用户在问我自己，我应该说明我是谁、会做什么。",
        "thanks": "用户在道谢，我应该礼貌地回答。",
        "bye": "用户在告别，我也应该告别。",
    },
}
_SMALL_TALK = {
    "en": {
        "greeting": (
            "hi", "hello", "hey", "hi there", "hello there", "hey there", "good morning", "good evening",
            "good afternoon", "yo", "howdy", "greetings", "hiya", "hello world", "hi r1", "hello r1-nano",
            "hey r1-nano", "hi nano", "hello friend", "hi everyone", "hello hello", "hey you", "good day", "morning",
            "evening", "hi, nice to meet you", "sup", "what's up", "hi again", "hello again", "hello, anyone there",
            "anybody there", "are you there", "hello model", "hey model", "hello computer", "nice to meet you",
            "hi, how are you", "hello, how are you", "how are you", "how's it going", "how do you do",
            "hey, what's up", "how are you today", "hola", "bonjour", "hallo", "ciao", "namaste", "welcome back",
        ),
        "self": (
            "who are you", "what are you", "what can you do", "what is your name", "what's your name",
            "tell me about yourself", "introduce yourself", "what is r1-nano", "what is this", "who made you",
            "what model are you", "which model is this", "are you chatgpt", "are you deepseek", "are you a robot",
            "are you an ai", "help", "how can you help me", "what can i ask you", "what do you do",
            "what are your abilities", "what are you good at", "what tasks can you solve", "can you help me",
            "what kind of model are you", "how big are you", "how many parameters do you have", "describe yourself",
            "what are your limits", "what can't you do", "which questions can you answer", "what should i ask you",
            "are you r1", "are you gpt", "are you claude", "how do you work", "what is your purpose",
            "who am i talking to", "what languages do you speak", "what can r1-nano do", "tell me what you can do",
            "give me some examples of what you can do", "list your skills", "what were you trained on",
            "who trained you", "are you a language model", "what do you know", "how smart are you",
        ),
        "thanks": (
            "thanks", "thank you", "thanks a lot", "thank you very much", "thx", "ty", "cheers", "many thanks",
            "great, thanks", "perfect, thank you", "thanks for your help", "thank you so much", "ok thanks",
            "thanks, that helped", "awesome, thanks", "thank you r1-nano", "much appreciated", "i appreciate it",
            "nice, thank you", "cool, thanks", "thanks again", "thanks for the answer", "wonderful, thank you",
            "thank you for the help", "thanks buddy", "thanks, well done",
        ),
        "bye": (
            "bye", "goodbye", "bye bye", "see you", "see you later", "good night", "see you tomorrow", "farewell",
            "cya", "take care", "i have to go", "talk to you later", "ok bye", "bye for now", "gotta go",
            "that is all, bye", "have a nice day", "later", "goodbye r1-nano", "until next time", "so long",
            "see you soon", "good night, sleep well", "bye then", "i'm leaving now",
        ),
    },
    "zh": {
        "greeting": (
            "你好", "您好", "嗨", "哈喽", "早上好", "晚上好", "下午好", "早", "早安", "大家好", "嘿", "你好呀", "你好啊", "hello 你好", "在吗", "在不在",
            "有人吗", "你好，r1", "你好 r1-nano", "嗨，你好", "你好，很高兴认识你", "很高兴认识你", "又见面了", "你好，最近好吗", "你好吗", "你好你好",
            "喂", "哈罗", "您好呀", "你好，小模型", "嗨，r1-nano", "你好，机器人", "中午好", "上午好", "新年好", "幸会", "hi，你好",
            "朋友你好", "打个招呼", "你好，模型", "久仰", "嗨嗨",
        ),
        "self": (
            "你是谁", "你是什么", "你会做什么", "你能做什么", "你叫什么名字", "你叫什么", "介绍一下你自己", "自我介绍一下", "r1-nano 是什么", "这是什么",
            "谁创造了你", "你是什么模型", "这是哪个模型", "你是 ChatGPT 吗", "你是 DeepSeek 吗", "你是机器人吗", "你是人工智能吗", "帮助", "你能帮我什么",
            "我可以问你什么", "你有什么功能", "你有什么本领", "你擅长什么", "你能解决哪些问题", "你能帮我吗", "你有多大", "你有多少参数", "描述一下你自己",
            "你有什么限制", "你不会做什么", "你能回答哪些问题", "我该问你什么", "你是 R1 吗", "你是 GPT 吗", "你是怎么工作的", "你的用途是什么",
            "我在和谁说话", "你会说什么语言", "r1-nano 会做什么", "说说你会什么", "举例说明你能做什么", "列出你的技能", "你是用什么训练的", "谁训练了你",
            "你是语言模型吗", "你懂什么", "你聪明吗", "怎么用你", "你都会些什么",
        ),
        "thanks": (
            "谢谢", "谢谢你", "多谢", "非常感谢", "感谢", "谢了", "谢谢啦", "太好了，谢谢", "谢谢你的帮助", "十分感谢", "好的，谢谢", "谢谢，很有帮助",
            "谢谢 r1-nano", "辛苦了", "感激不尽", "不错，谢谢", "再次感谢", "谢谢你的回答", "万分感谢", "谢谢帮忙", "麻烦你了，谢谢", "谢谢谢谢", "感谢你",
        ),
        "bye": (
            "再见", "拜拜", "回头见", "晚安", "明天见", "再会", "我走了", "下次见", "好的，再见", "先这样，拜拜", "我要走了", "就这些，再见", "祝你愉快",
            "再见 r1-nano", "下次再聊", "改天再聊", "我先下线了", "保重", "早点休息，再见", "那再见了", "先走了", "拜", "后会有期",
        ),
    },
}  # fmt: skip
# Where the small talk is a question of its own ending, and how the rest may end.
_TALK_ENDINGS = {"en": ("", "", "", "!", "!", ".", "...", " :)", "!!"), "zh": ("", "", "", "！", "！", "。", "~", "!")}
_ASKED_ENDINGS = {"en": ("?", "?", "?", "", "", "??", " ?", "?!"), "zh": ("？", "？", "？", "", "", "?", "？？")}


class _Template:
    """A template split at its marks; {thing2} is another draw from the table of {thing}."""

    __slots__ = ("first", "rest")

    def __init__(self, text: str, tables: dict[str, tuple[str, ...]]) -> None:
        parts = _MARK.split(text)
        self.first = parts[0]
        self.rest = [(tables[parts[at]], parts[at + 2]) for at in range(1, len(parts), 3)]

    def fill(self, rng: Random) -> str:
        """The template with values drawn, no value twice."""
        text, used = self.first, []
        for table, after in self.rest:
            value = pick(rng, table)
            while value in used:
                value = pick(rng, table)
            used.append(value)
            text += value + after
        return text


def _compiled(language: str) -> list[tuple[str, list[_Template], list[_Template]]]:
    topics = _TOPICS[language]
    return [
        (subject, *([_Template(text, topics.TABLES) for text in texts] for texts in (questions, requests)))
        for subject, questions, requests in topics.CATEGORIES
    ]


_CATEGORIES = {language: _compiled(language) for language in _TOPICS}
_BARE = {name: [_Template(text, topics.TABLES) for text in topics.BARE] for name, topics in _TOPICS.items()}
_FOREIGN = [_Template(text, outside_topics_en.TABLES) for text in outside_topics_en.FOREIGN]
_OTHER = {"en": "something else", "zh": "别的事情"}
_MASH_EN = "abcdefghijklmnopqrstuvwxyzasdfjklqweruioasdfjkl;;.,"


def _mash(rng: Random) -> str:
    """Keys hit at random."""
    return "".join([pick(rng, _MASH_EN) for _ in range(4 + int(rng.random() * 14))])


def _foreign_request(rng: Random, language: str) -> tuple[str, str]:
    """A question and its subject."""
    chance = rng.random()
    if chance < 0.12:
        text = pick(rng, _BARE[language]).fill(rng)
        if language == "en" and rng.random() < 0.5:
            text = text[0].upper() + text[1:]
        return text + pick(rng, _TALK_ENDINGS[language] if rng.random() < 0.7 else ("?", "")), _OTHER[language]
    if chance < 0.14:
        return _mash(rng), _OTHER[language]
    if chance < 0.16 and language == "en":
        return pick(rng, _FOREIGN).fill(rng), _OTHER["en"]
    subject, questions, requests = pick(rng, _CATEGORIES[language])
    asked = rng.random() < len(questions) / (len(questions) + len(requests))
    text = pick(rng, questions if asked else requests).fill(rng)
    return ask(rng, language, "question" if asked else "request", text.replace("{", "{{")), subject


def _talk(rng: Random, language: str, kind: str) -> str:
    """Small talk of one kind, with its ending and letter case."""
    text = pick(rng, _SMALL_TALK[language][kind])
    asks = kind == "self" or (language == "en" and text.startswith(("how", "what", "are you there", "anybody")))
    if kind == "self" and text.startswith(("tell", "introduce", "give", "list", "describe", "介绍", "说说", "举例", "列出",
    "自我")):
        asks = False
    text += pick(rng, (_ASKED_ENDINGS if asks else _TALK_ENDINGS)[language])
    opening = ""
    if kind != "greeting" and language == "en" and rng.random() < 0.3:
        polite = ("hi, ", "hey, ", "hello, ", "hi! ", "ok, ", "so, ") if kind == "self" else ("ok, ", "well, ")
        opening = pick(rng, polite)
    if language == "zh" and kind == "self" and rng.random() < 0.4:
        opening = pick(rng, ("请问，", "你好，", "嗨，", "请问", "问一下，", "你好！"))
    text = opening + text
    if language == "en":
        chance = rng.random()
        if chance < 0.5:
            text = text[0].upper() + text[1:]
        elif chance < 0.58:
            text = text.upper()
    return text


def _one(rng: Random, language: str) -> tuple[str, str, str]:
    """A question, its reasoning and its answer."""
    chance = rng.random()
    if chance < 0.8:
        question, subject = _foreign_request(rng, language)
        return question, REASONINGS[language]["outside"].format(subject), ANSWERS[language]["outside"]
    kind = "greeting" if chance < 0.86 else "self" if chance < 0.95 else "thanks" if chance < 0.98 else "bye"
    return _talk(rng, language, kind), REASONINGS[language][kind], ANSWERS[language][kind]


def outside(rng: Random, language: str) -> Example:
    """A request that is none of the model's tasks, now and then after an earlier one of that kind."""
    question, reasoning, answer = _one(rng, language)
    messages: tuple[tuple[str, str], ...] = (("user", question),)
    if rng.random() < 0.06:
        earlier, _, reply = _one(rng, language)
        messages = (("user", earlier), ("assistant", reply), *messages)
    return Example("outside", language, reasoning, answer, messages=messages)
