"""Families of functions of dictionaries, truth values, files, time and JSON, and small classes."""

from .function_family import Family, family

MISC: list[Family] = [
    family(
        "get or default|get with default|lookup", "data:dict key:str fallback:num", "num",
        "return @a.get(@b, @c)", "return @a[@b] ?? @c;",
        "return the value of @b in @a, or @c if it is missing|look up @b in @a and fall back to @c",
        "返回 @a 中 @b 的值，没有时返回 @c|在 @a 中查找 @b，找不到就返回 @c",
        "get a value of a dictionary or a default", "从字典取值，没有时返回默认值", 'f({"x": 1}, "x", 5) => 1; f({}, "x", 5) => 5'),
    family(
        "get value|value of|get key", "data:dict key:str", "num", "return @a[@b]", "return @a[@b];",
        "return the value of @b in @a|look up @b in @a", "返回 @a 中 @b 的值|在 @a 中查找 @b",
        "get the value of a key", "返回某个键的值", 'f({"x": 1}, "x") => 1'),
    family(
        "keys of|get keys|key list|all keys", "data:dict", "strs", "return list(@a.keys())", "return Object.keys(@a);",
        "return the keys of @a as a list|return a list of the keys in @a", "返回由 @a 的键组成的列表|以列表形式返回 @a 的所有键",
        "return the keys of a dictionary as a list", "返回字典的所有键", 'f({"x": 1}) => ["x"]'),
    family(
        "values of|get values|value list|all values", "data:dict", "nums", "return list(@a.values())",
        "return Object.values(@a);",
        "return the values of @a as a list|return a list of the values in @a",
        "返回由 @a 的值组成的列表|以列表形式返回 @a 的所有值",
        "return the values of a dictionary as a list", "返回字典的所有值", 'f({"x": 1}) => [1]'),
    family(
        "has key|key exists|knows key", "data:dict key:str", "bool", "return @b in @a", "return @b in @a;",
        "return whether @a has the key @b|check if the key @b exists in @a", "判断 @a 是否有键 @b|检查键 @b 是否存在于 @a 中",
        "check if a dictionary has a key", "判断字典是否有某个键", 'f({"x": 1}, "x") => true; f({}, "x") => false'),
    family(
        "merge|merge dicts|merge objects|combine", "first:dict second:dict", "dict", "return {**@a, **@b}",
        "return { ...@a, ...@b };",
        "return @a and @b merged, where @b wins|merge @a and @b into one object",
        "返回合并后的 @a 和 @b，以 @b 为准|把 @a 与 @b 合并成一个对象",
        "merge two dictionaries|merge two objects", "合并两个字典|合并两个对象", 'f({"x": 1}, {"y": 2}) => {"x": 1, "y": 2}'),
    family(
        "with value|set key|with key", "data:dict key:str value:num", "dict", "return {**@a, @b: @c}",
        "return { ...@a, [@b]: @c };",
        "return a copy of @a in which @b is set to @c|copy @a and set the key @b to @c",
        "返回把 @b 设为 @c 的 @a 副本|复制 @a 并把键 @b 设为 @c",
        "return a copy of a dictionary with one key set", "返回设置了某个键的字典副本", 'f({"x": 1}, "y", 2) => {"x": 1, "y": 2}'),
    family(
        "sum values|total of values", "data:dict", "num", "return sum(@a.values())",
        "return Object.values(@a).reduce((total, item) => total + item, 0);",
        "return the sum of the values in @a|add up the values of the dictionary @a",
        "返回 @a 中所有值之和|把字典 @a 的值相加", "add up the values of a dictionary", "返回字典中所有值之和",
        'f({"x": 1, "y": 2}) => 3'),
    family(
        "count keys|number of keys|key count", "data:dict", "int", "return len(@a)", "return Object.keys(@a).length;",
        "return the number of keys in @a|return how many keys @a has", "返回 @a 中键的个数|返回 @a 有多少个键",
        "count the keys of a dictionary", "返回字典中键的个数", 'f({"x": 1, "y": 2}) => 2'),
    family(
        "invert|logical not|negated|toggle", "flag:bool", "bool", "return not @a", "return !@a;",
        "return the opposite of the truth value @a|return not @a|toggle @a", "返回布尔值 @a 的相反值|对 @a 取逻辑非",
        "return the opposite of a boolean", "返回布尔值的相反值", "f(true) => false"),
    family(
        "both|both true|logical and", "a:bool b:bool", "bool", "return @a and @b", "return @a && @b;",
        "return whether @a and @b are both true|check that both @a and @b hold",
        "判断 @a 和 @b 是否都为真|检查 @a 与 @b 是否同时成立",
        "return whether two booleans are both true", "判断两个布尔值是否都为真", "f(true, false) => false"),
    family(
        "either|any of two|logical or", "a:bool b:bool", "bool", "return @a or @b", "return @a || @b;",
        "return whether @a or @b is true|check that at least one of @a and @b holds",
        "判断 @a 或 @b 是否为真|检查 @a 与 @b 是否至少有一个成立",
        "return whether at least one of two booleans is true", "判断两个布尔值是否至少有一个为真", "f(true, false) => true"),
    family(
        "yes or no|yes no|bool to text", "flag:bool", "str", 'return "yes" if @a else "no"',
        'return @a ? "yes" : "no";',
        'return "yes" if @a is true, otherwise "no"|return "yes" or "no" depending on @a',
        '如果 @a 为真返回 "yes"，否则返回 "no"|根据 @a 返回 "yes" 或 "no"',
        'return "yes" for true and "no" for false', '为真返回 "yes"，为假返回 "no"', 'f(true) => "yes"; f(false) => "no"'),
    family(
        "identity|same|return itself", "value:item", "item", "return @a", "return @a;",
        "return @a unchanged|return @a itself|return just @a", "原样返回 @a|返回 @a 本身",
        "return a value unchanged", "原样返回一个值", "f(4) => 4"),
    family(
        "constant|get constant|fixed value", "", "int", "return @k", "return @k;",
        "return the number @k|always return @k", "返回数字 @k|总是返回 @k", "always return @k", "总是返回 @k", "f() => @k"),
    family(
        "get word|get text|fixed text", "", "str", 'return "@w"', 'return "@w";',
        'return the string "@w"|always return "@w"', '返回字符串 "@w"|总是返回 "@w"', 'always return "@w"', '总是返回 "@w"',
        'f() => "@w"'),
    family(
        "print message|show message|log message", "message:str", "none", "print(@a)", "console.log(@a);",
        "print @a|show @a on the screen|write @a to the output", "打印 @a|在屏幕上显示 @a|输出 @a",
        "print a message", "打印一条消息", ""),
    family(
        "print hello|say hi|hello world", "", "none", 'print("Hello, world!")', 'console.log("Hello, world!");',
        'print "Hello, world!"|print the text "Hello, world!"|show "Hello, world!"',
        '打印 "Hello, world!"|输出 "Hello, world!"', 'print "Hello, world!"', '打印 "Hello, world!"', ""),
    family(
        "print all|print items|log each", "items:list", "none", "for item in @a:\n    print(item)",
        "for (const item of @a) {\n  console.log(item);\n}",
        "print every element of @a|print the elements of @a one by one", "打印 @a 的每个元素|逐个输出 @a 的元素",
        "print every element of a list", "打印列表的每个元素", ""),
    family(
        "apply|call with|apply function", "action:func value:num", "num", "return @a(@b)", "return @a(@b);",
        "return the result of calling @a with @b|call @a with @b and return the result",
        "返回用 @b 调用 @a 的结果|以 @b 为参数调用 @a", "call a function with a value", "用一个值调用函数", ""),
    family(
        "apply twice|call twice", "action:func value:num", "num", "return @a(@a(@b))", "return @a(@a(@b));",
        "apply @a twice to @b|call @a with the result of calling @a with @b", "对 @b 应用两次 @a|连续两次用 @a 处理 @b",
        "apply a function twice to a value", "对一个值应用两次函数", ""),
    family(
        "parse json|from json|read json text", "text:str", "any", "return json.loads(@a)", "return JSON.parse(@a);",
        "return the value of the JSON text @a|parse @a as JSON", "返回 JSON 文本 @a 的值|把 @a 解析为 JSON",
        "parse a JSON string", "解析 JSON 字符串", 'f("[1]") => [1]', imports_python="import json"),
    family(
        "to json|as json|json text", "value:any", "str", "return json.dumps(@a)", "return JSON.stringify(@a);",
        "return @a as JSON text|convert @a to a JSON string", "返回 @a 的 JSON 文本|把 @a 转换为 JSON 字符串",
        "convert a value to a JSON string", "把值转换为 JSON 字符串", "f(4) => \"4\"", imports_python="import json"),
    family(
        "read text|read file|load text", "path:str", "promise_str",
        "with open(@a) as file:\n    return file.read()", 'return await readFile(@a, "utf8");',
        "return the content of the file @a|read the text file at @a", "返回文件 @a 的内容|读取 @a 处的文本文件",
        "read a text file|return the content of a file", "读取文本文件|返回文件的内容", "",
        imports_typescript='import { readFile } from "node:fs/promises";', is_async=True),
    family(
        "write text|save text|write file", "path:str text:str", "promise",
        'with open(@a, "w") as file:\n    file.write(@b)', "await writeFile(@a, @b);",
        "write @b to the file @a|save the text @b in the file @a", "把 @b 写入文件 @a|将文本 @b 保存到文件 @a",
        "write a text to a file", "把文本写入文件", "",
        imports_typescript='import { writeFile } from "node:fs/promises";', is_async=True),
    family(
        "sleep|wait|delay|pause", "ms:num", "promise", "time.sleep(@a / 1000)",
        "await new Promise((resolve) => setTimeout(resolve, @a));",
        "wait for @a milliseconds|sleep for @a milliseconds|pause for @a milliseconds",
        "等待 @a 毫秒|休眠 @a 毫秒|暂停 @a 毫秒", "wait for some milliseconds|sleep for a number of milliseconds",
        "等待若干毫秒", "", imports_python="import time", is_async=True),
    family(
        "fetch json|load json|get json", "url:str", "promise_any", None,
        "const response = await fetch(@a);\nreturn await response.json();",
        "fetch @a and return its JSON|load the JSON at the address @a", "请求 @a 并返回其 JSON|从地址 @a 加载 JSON",
        "fetch JSON from a URL", "从网址获取 JSON", "", is_async=True),
    family(
        "fetch text|load page|get page", "url:str", "promise_str", None,
        "const response = await fetch(@a);\nreturn await response.text();",
        "fetch @a and return its text|load the text at the address @a", "请求 @a 并返回其文本|从地址 @a 加载文本",
        "fetch text from a URL", "从网址获取文本", "", is_async=True),
    family(
        "fetch status|get status|status of", "url:str", "promise_num", None,
        "const response = await fetch(@a);\nreturn response.status;",
        "fetch @a and return the status code|request @a and return its status",
        "请求 @a 并返回状态码|访问 @a 并返回其状态", "fetch a URL and return the status code", "请求网址并返回状态码", "",
        is_async=True),
    family(
        "debounce|debounced|delay calls", "action:action ms:num", "action", None,
        "let timer: ReturnType<typeof setTimeout>;\nreturn () => {\n  clearTimeout(timer);\n"
        "  @!timer = setTimeout(@a, @b);\n};",
        "return a function that calls @a only after @b milliseconds without another call"
        "|debounce @a by @b milliseconds",
        "返回一个在 @b 毫秒内没有再次调用时才执行 @a 的函数|对 @a 做 @b 毫秒的防抖",
        "debounce a function", "实现防抖函数|写防抖", ""),
    family(
        "once|run once|only once", "action:action", "action", None,
        "let called = false;\nreturn () => {\n  if (!called) {\n    called = true;\n    @!@a();\n  }\n};",
        "return a function that calls @a only the first time|make @a run only once",
        "返回一个只在第一次调用时执行 @a 的函数|让 @a 只执行一次", "make a function run only once", "让函数只执行一次", ""),
    family(
        "current year|this year|year now", "", "int", "return date.today().year", "return new Date().getFullYear();",
        "return the current year|return the year of today", "返回当前年份|返回今年的年份",
        "return the current year", "返回当前年份", "", imports_python="from datetime import date"),
    family(
        "timestamp|current time|unix time", "", "num", "return time.time()", "return Date.now() / 1000;",
        "return the current time in seconds|return the present time as seconds", "返回当前时间的秒数|以秒为单位返回当前时间",
        "return the current time in seconds", "返回当前时间的秒数", "", imports_python="import time"),
    family(
        "file exists|path exists|is file", "path:str", "bool", "return os.path.exists(@a)", "return existsSync(@a);",
        "return whether the path @a exists|check if the file @a exists", "判断路径 @a 是否存在|检查文件 @a 是否存在",
        "check if a file exists", "判断文件是否存在", "",
        imports_python="import os", imports_typescript='import { existsSync } from "node:fs";'),
    family(
        "file name|base name|name of path", "path:str", "str", "return os.path.basename(@a)", "return basename(@a);",
        "return the last part of the path @a|return the file name of the path @a", "返回路径 @a 的最后一部分|返回路径 @a 的文件名",
        "return the file name of a path", "返回路径中的文件名", "",
        imports_python="import os", imports_typescript='import { basename } from "node:path";'),
    family(
        "env value|get env|read env", "name:str", "str", 'return os.environ.get(@a, "")',
        'return process.env[@a] ?? "";',
        "return the environment variable @a, or an empty string|read the environment variable @a",
        "返回环境变量 @a，没有时返回空字符串|读取环境变量 @a", "read an environment variable", "读取环境变量", "",
        imports_python="import os"),
    family(
        "random item|pick one|choose", "items:list", "maybe", "return random.choice(@a)",
        "return @a[Math.floor(Math.random() * @a.length)];",
        "return a random element of @a|pick one element of @a at random", "返回 @a 中的随机元素|从 @a 中随机选一个元素",
        "return a random element of a list", "从列表中随机选一个元素", "f([4]) => 4", imports_python="import random"),
    family(
        "count items by value|tally|frequencies", "words:strs", "dict", "return dict(Counter(@a))",
        "const counts: Record<string, number> = {};\nfor (const word of @a) {\n"
        "  @!counts[word] = (counts[word] ?? 0) + 1;\n}\nreturn counts;",
        "return how often every string occurs in @a|count every string of @a in a dictionary",
        "返回 @a 中每个字符串出现的次数|用字典统计 @a 中的每个字符串", "count how often each string of a list occurs",
        "统计列表中每个字符串出现的次数", 'f(["a", "b", "a"]) => {"a": 2, "b": 1}',
        imports_python="from collections import Counter"),
    family(
        "counter|click counter|counting", "", "none",
        "def __init__(self):\n    self.count = 0\n\ndef increment(self):\n    self.count += @k",
        "count = 0;\n\nincrement(): void {\n  this.count += @k;\n}",
        "hold a count from 0 with a method increment that adds @k|count from 0 in steps of @k with increment",
        "保存从 0 开始的 count，方法 increment 每次加 @k|用 increment 从 0 开始每次加 @k 计数",
        "count from 0 with a method increment that adds @k", "用 increment 方法从 0 开始每次加 @k 计数", "", is_class=True),
    family(
        "stack|item stack|simple stack", "", "none",
        "def __init__(self):\n    self.items = []\n\ndef push(self, item):\n    self.items.append(item)\n\n"
        "def pop(self):\n    return self.items.pop()",
        "items: unknown[] = [];\n\npush(item: unknown): void {\n  this.items.push(item);\n}\n\n"
        "pop(): unknown {\n  return this.items.pop();\n}",
        "hold a stack of items with push and pop|keep items with the methods push and pop",
        "保存一个有 push 和 pop 方法的栈|用 push 和 pop 管理 items", "hold a stack with push and pop", "实现有 push 和 pop 的栈", "",
        is_class=True),
]
