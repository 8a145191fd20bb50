"""Families of functions of texts."""

from .function_family import Family, family

TEXTS: list[Family] = [
    family(
        "count vowels|vowel count|number of vowels", "text:str", "int",
        'return sum(1 for ch in @a.lower() if ch in "aeiou")',
        'return [...@a.toLowerCase()].filter((ch) => "aeiou".includes(ch)).length;',
        "return the number of vowels in @a|count the vowels in @a|return how many vowels @a has",
        "返回 @a 中元音字母的个数|统计 @a 里的元音字母|返回 @a 有多少个元音",
        "count the vowels in a string", "统计字符串中的元音个数|数一数元音字母", 'f("Apple") => 2; f("x") => 0'),
    family(
        "reverse string|reverse text|reversed string|backwards", "text:str", "str", "return @a[::-1]",
        'return [...@a].reverse().join("");',
        "return the string @a reversed|reverse the string @a|return the characters of @a in reverse order"
        "|return the text @a backwards",
        "返回反转后的字符串 @a|把字符串 @a 反转|把 @a 的字符倒序返回",
        "reverse a string|return a string backwards", "反转一个字符串|把字符串倒过来", 'f("abc") => "cba"'),
    family(
        "is palindrome|palindrome|check palindrome", "text:str", "bool", "return @a == @a[::-1]",
        'return @a === [...@a].reverse().join("");',
        "return whether @a is a palindrome|check if @a is a palindrome|check if @a reads the same backwards",
        "判断 @a 是否为回文|检查 @a 是不是回文|判断 @a 正着读和倒着读是否一样",
        "check if a string is a palindrome", "判断一个字符串是否为回文", 'f("level") => true; f("ab") => false'),
    family(
        "capitalize|capitalise|capitalize first", "text:str", "str", "return @a[:1].upper() + @a[1:]",
        "return @a.charAt(0).toUpperCase() + @a.slice(1);",
        "return @a with its first letter in upper case|capitalize the first letter of @a|capitalize @a",
        "返回首字母大写的 @a|把 @a 的第一个字母变成大写|把 @a 首字母大写",
        "capitalize the first letter of a string|capitalize a word", "把字符串的首字母变成大写", 'f("abc") => "Abc"'),
    family(
        "to upper|upper case|uppercase|shout", "text:str", "str", "return @a.upper()", "return @a.toUpperCase();",
        "return @a in upper case|convert @a to upper case|return @a in capital letters",
        "返回大写的 @a|把 @a 转换为大写|把 @a 全部变成大写字母",
        "convert a string to upper case", "把字符串转换为大写", 'f("aB") => "AB"'),
    family(
        "to lower|lower case|lowercase|whisper", "text:str", "str", "return @a.lower()", "return @a.toLowerCase();",
        "return @a in lower case|convert @a to lower case|return @a in small letters",
        "返回小写的 @a|把 @a 转换为小写|把 @a 全部变成小写字母",
        "convert a string to lower case", "把字符串转换为小写", 'f("aB") => "ab"'),
    family(
        "greet|greeting|say hello|hello", "name:str", "str", 'return f"Hello, {@a}!"', "return `Hello, ${@a}!`;",
        'return the greeting "Hello, ...!" for @a|greet @a with "Hello"|return a greeting for @a',
        '返回对 @a 的问候 "Hello, ...!"|用 "Hello" 问候 @a|返回对 @a 的问候语',
        "greet a person by name|return a greeting for a name", "按名字问候一个人|返回问候语", 'f("Ann") => "Hello, Ann!"'),
    family(
        "farewell|say goodbye|goodbye", "name:str", "str", 'return f"Goodbye, {@a}!"', "return `Goodbye, ${@a}!`;",
        'return the farewell "Goodbye, ...!" for @a|say goodbye to @a|return a farewell for @a',
        '返回对 @a 的告别 "Goodbye, ...!"|用 "Goodbye" 向 @a 告别|返回对 @a 的告别语',
        "say goodbye to a person by name", "按名字向一个人告别", 'f("Ann") => "Goodbye, Ann!"'),
    family(
        "add prefix|with prefix|tag", "text:str", "str", 'return "@w" + @a', 'return "@w" + @a;',
        'return @a with "@w" in front of it|put "@w" before @a|prefix @a with "@w"',
        '返回前面加上 "@w" 的 @a|在 @a 前面加上 "@w"|给 @a 加上前缀 "@w"',
        'put "@w" before a string', '在字符串前面加上 "@w"', 'f("x") => "@wx"'),
    family(
        "add suffix|with suffix|append text", "text:str", "str", 'return @a + "@w"', 'return @a + "@w";',
        'return @a with "@w" at its end|put "@w" after @a|append "@w" to the string @a',
        '返回末尾加上 "@w" 的 @a|在 @a 后面加上 "@w"|给 @a 加上后缀 "@w"',
        'put "@w" after a string', '在字符串末尾加上 "@w"', 'f("x") => "x@w"'),
    family(
        "initials|get initials", "name:str", "str", 'return "".join(word[0] for word in @a.split())',
        'return @a.split(" ").map((word) => word[0]).join("");',
        "return the initials of @a|return the first letter of every word of @a",
        "返回 @a 的首字母缩写|返回 @a 中每个单词的首字母", "return the initials of a name", "返回姓名的首字母缩写",
        'f("Ada Lovelace") => "AL"'),
    family(
        "word count|count words|number of words", "text:str", "int", "return len(@a.split())",
        "return @a.trim().split(/\\s+/).length;",
        "return the number of words in @a|count the words in @a|return how many words @a has",
        "返回 @a 中单词的个数|统计 @a 的单词数|返回 @a 有多少个单词",
        "count the words in a string|count the words of a sentence", "统计字符串中的单词数", 'f("a bc d") => 3'),
    family(
        "split words|to words|words of", "text:str", "strs", "return @a.split()", "return @a.trim().split(/\\s+/);",
        "return the list of the words in @a|split @a into words", "返回 @a 中所有单词的列表|把 @a 拆分成单词",
        "split a string into words", "把字符串拆分成单词", 'f("a bc") => ["a", "bc"]'),
    family(
        "join words|join with spaces", "words:strs", "str", 'return " ".join(@a)', 'return @a.join(" ");',
        "join the strings @a with spaces|return the strings of @a joined by spaces",
        "用空格连接 @a 中的字符串|返回用空格连接 @a 的结果", "join a list of words with spaces", "用空格连接一组单词",
        'f(["a", "b"]) => "a b"'),
    family(
        "join with comma|comma separated|to csv", "items:strs", "str", 'return ", ".join(@a)', 'return @a.join(", ");',
        "join the strings @a with commas|return the strings of @a joined by a comma and a space",
        "用逗号连接 @a 中的字符串|返回用逗号和空格连接 @a 的结果",
        "join a list of strings with commas", "用逗号连接一组字符串", 'f(["a", "b"]) => "a, b"'),
    family(
        "first char|first letter|first character", "text:str", "str", "return @a[0]", "return @a[0];",
        "return the first character of @a|return the first letter of @a", "返回 @a 的第一个字符|返回 @a 的首字母",
        "return the first character of a string", "返回字符串的第一个字符", 'f("abc") => "a"'),
    family(
        "last char|last letter|last character", "text:str", "str", "return @a[-1]", "return @a[@a.length - 1];",
        "return the last character of @a|return the last letter of @a", "返回 @a 的最后一个字符|返回 @a 的最后一个字母",
        "return the last character of a string", "返回字符串的最后一个字符", 'f("abc") => "c"'),
    family(
        "contains text|has substring|includes text", "text:str part:str", "bool", "return @b in @a",
        "return @a.includes(@b);",
        "return whether the string @a contains @b|check if the text @b occurs in the text @a"
        "|check if the string @a includes @b",
        "判断字符串 @a 是否包含 @b|检查文本 @b 是否出现在文本 @a 中",
        "check if a string contains another string", "判断一个字符串是否包含另一个字符串",
        'f("hello", "ell") => true; f("a", "b") => false'),
    family(
        "starts with|has prefix|begins with", "text:str prefix:str", "bool", "return @a.startswith(@b)",
        "return @a.startsWith(@b);",
        "return whether @a starts with @b|check if @a begins with @b|tell whether @a has the prefix @b",
        "判断 @a 是否以 @b 开头|检查 @a 的开头是不是 @b",
        "check if a string starts with a prefix", "判断字符串是否以给定前缀开头", 'f("hello", "he") => true'),
    family(
        "ends with|has suffix", "text:str suffix:str", "bool", "return @a.endswith(@b)", "return @a.endsWith(@b);",
        "return whether @a ends with @b|check if @a ends with @b|tell whether @a has the suffix @b",
        "判断 @a 是否以 @b 结尾|检查 @a 的结尾是不是 @b",
        "check if a string ends with a suffix", "判断字符串是否以给定后缀结尾", 'f("hello", "lo") => true'),
    family(
        "repeat|repeat text|repeat string", "text:str times:int", "str", "return @a * @b", "return @a.repeat(@b);",
        "return the string @a repeated @b times|repeat the text @a @b times",
        "返回重复 @b 次的字符串 @a|把文本 @a 重复 @b 次", "repeat a string a number of times", "把字符串重复若干次",
        'f("ab", 2) => "abab"'),
    family(
        "text length|string length|count characters", "text:str", "int", "return len(@a)", "return @a.length;",
        "return the length of the string @a|return the number of characters in @a|count the characters of @a",
        "返回字符串 @a 的长度|返回 @a 的字符个数|统计 @a 的字符数",
        "return the length of a string", "返回字符串的长度", 'f("abc") => 3'),
    family(
        "is blank|blank|is empty text", "text:str", "bool", 'return @a.strip() == ""', 'return @a.trim() === "";',
        "return whether @a is blank|check if @a has nothing but white space",
        "判断 @a 是否为空白|检查 @a 是否只有空白字符",
        "check if a string is blank", "判断字符串是否为空白", 'f("  ") => true; f("a") => false'),
    family(
        "trim|strip|trim text", "text:str", "str", "return @a.strip()", "return @a.trim();",
        "return @a without white space at its ends|trim the white space around @a|strip the spaces around @a",
        "返回去掉两端空白的 @a|去掉 @a 首尾的空格", "trim the white space around a string", "去掉字符串首尾的空白",
        'f(" a ") => "a"'),
    family(
        "remove spaces|without spaces|strip spaces", "text:str", "str", 'return @a.replace(" ", "")',
        'return @a.replaceAll(" ", "");',
        "return @a without any spaces|remove all spaces from @a|delete every space in @a",
        "返回去掉所有空格的 @a|删除 @a 中的所有空格", "remove all spaces from a string", "删除字符串中的所有空格",
        'f("a b c") => "abc"'),
    family(
        "slugify|to slug|slug", "title:str", "str", 'return @a.lower().replace(" ", "-")',
        'return @a.toLowerCase().replaceAll(" ", "-");',
        "return @a in lower case with dashes instead of spaces|turn @a into a slug",
        "返回小写且用短横线代替空格的 @a|把 @a 转换为 slug", "turn a title into a slug", "把标题转换为 slug",
        'f("My Page") => "my-page"'),
    family(
        "spaces to underscores|to snake|underscored", "text:str", "str", 'return @a.replace(" ", "_")',
        'return @a.replaceAll(" ", "_");',
        "return @a with underscores instead of spaces|replace the spaces in @a by underscores",
        "返回用下划线代替空格的 @a|把 @a 中的空格替换为下划线",
        "replace spaces by underscores", "把空格替换为下划线", 'f("a b") => "a_b"'),
    family(
        "replace word|replace text|swap word", "text:str old:str other:str", "str", "return @a.replace(@b, @c)",
        "return @a.replaceAll(@b, @c);",
        "return @a with every @b replaced by @c|replace @b with @c in @a",
        "返回把 @b 全部替换为 @c 的 @a|在 @a 中用 @c 替换 @b",
        "replace a part of a string by another", "把字符串的一部分替换为另一个", 'f("aba", "a", "c") => "cbc"'),
    family(
        "first chars|shorten|cut text", "text:str", "str", "return @a[:@k]", "return @a.slice(0, @k);",
        "return the first @k characters of @a|cut @a to @k characters|keep only the first @k characters of @a",
        "返回 @a 的前 @k 个字符|把 @a 截取到 @k 个字符|只保留 @a 的前 @k 个字符",
        "return the first @k characters of a string", "返回字符串的前 @k 个字符", 'f("ab") => "ab"'),
    family(
        "truncate|truncate text|cut to", "text:str limit:int", "str", "return @a[:@b]", "return @a.slice(0, @b);",
        "return the first @b characters of @a|cut @a to @b characters",
        "返回 @a 的前 @b 个字符|把 @a 截取到 @b 个字符", "cut a string to a length", "把字符串截取到给定长度",
        'f("abcd", 2) => "ab"'),
    family(
        "remove vowels|without vowels|drop vowels", "text:str", "str",
        'return "".join(ch for ch in @a if ch not in "aeiouAEIOU")', 'return @a.replace(/[aeiou]/gi, "");',
        "return @a without its vowels|remove the vowels from @a", "返回去掉元音字母的 @a|删除 @a 中的元音",
        "remove the vowels from a string", "删除字符串中的元音字母", 'f("banAna") => "bnn"'),
    family(
        "count char|count letter|occurrences of letter", "text:str letter:str", "int", "return @a.count(@b)",
        "return @a.split(@b).length - 1;",
        "return how often @b occurs in the string @a|count the occurrences of @b in the string @a",
        "返回 @b 在字符串 @a 中出现的次数|统计字符串 @a 中 @b 的个数",
        "count how often a letter occurs in a string", "统计一个字母在字符串中出现的次数", 'f("banana", "a") => 3'),
    family(
        "full name|join names|complete name", "first:str last:str", "str", 'return f"{@a} {@b}"',
        "return `${@a} ${@b}`;",
        "return @a and @b with a space between them|join @a and @b with a space",
        "返回用空格连接的 @a 和 @b|用空格连接 @a 与 @b", "join a first and a last name with a space", "用空格连接名和姓",
        'f("Ada", "Lee") => "Ada Lee"'),
    family(
        "label|format pair|key value text", "key:str value:str", "str", 'return f"{@a}: {@b}"',
        "return `${@a}: ${@b}`;",
        "return @a and @b with a colon and a space between them|format @a and @b with a colon between them",
        "返回用冒号和空格连接的 @a 和 @b|用冒号连接 @a 与 @b", "format a key and a value with a colon", "用冒号连接键和值",
        'f("a", "b") => "a: b"'),
    family(
        "pad number|zero pad|pad left", "n:int", "str", "return str(@a).zfill(@k)",
        'return String(@a).padStart(@k, "0");',
        "return @a as a string padded with zeros to @k characters|pad @a with zeros to a width of @k",
        "返回用零补足到 @k 位的 @a|用 0 把 @a 补到 @k 位", "pad a number with zeros to @k characters",
        "用零把数字补足到 @k 位"),
    family(
        "to int|parse int|to integer", "text:str", "int", "return int(@a)", "return parseInt(@a, 10);",
        "return the string @a as a whole number|parse @a as an integer|convert the string @a to an integer",
        "把字符串 @a 转换为整数|将 @a 解析为整数", "convert a string to an integer", "把字符串转换为整数",
        'f("42") => 42'),
    family(
        "to text|to string|stringify", "value:num", "str", "return str(@a)", "return String(@a);",
        "return @a as a string|convert @a to a string|turn @a into a string",
        "返回 @a 的字符串形式|把 @a 转换为字符串", "convert a number to a string", "把数字转换为字符串", 'f(42) => "42"'),
    family(
        "is longer|longer than", "a:str b:str", "bool", "return len(@a) > len(@b)", "return @a.length > @b.length;",
        "return whether the string @a is longer than @b|check if the text @a has more characters than @b",
        "判断字符串 @a 是否比 @b 长|检查 @a 的字符数是否多于 @b",
        "check if one string is longer than another", "判断一个字符串是否比另一个长", 'f("abc", "b") => true'),
    family(
        "is too long|exceeds length", "text:str", "bool", "return len(@a) > @k", "return @a.length > @k;",
        "return whether @a has more than @k characters|check if @a is longer than @k characters",
        "判断 @a 是否超过 @k 个字符|检查 @a 的长度是否大于 @k",
        "check if a string has more than @k characters", "判断字符串是否超过 @k 个字符", 'f("") => false'),
    family(
        "lines of|split lines|to lines", "text:str", "strs", 'return @a.split("\\n")', 'return @a.split("\\n");',
        "return the list of the lines in @a|split @a into lines", "返回 @a 中所有行的列表|把 @a 按行拆分",
        "split a text into lines", "把文本按行拆分", 'f("a") => ["a"]'),
    family(
        "quote|in quotes|wrap", "text:str", "str", "return f'\"{@a}\"'", "return `\"${@a}\"`;",
        "return @a in double quotes|put double quotes around @a", "返回加上双引号的 @a|给 @a 加上双引号",
        "put double quotes around a string", "给字符串加上双引号", 'f("a") => "\\"a\\""'),
    family(
        "is same text|equal ignoring case|same word", "a:str b:str", "bool", "return @a.lower() == @b.lower()",
        "return @a.toLowerCase() === @b.toLowerCase();",
        "return whether @a and @b are equal when case is ignored|compare @a and @b without regard to case",
        "判断 @a 和 @b 忽略大小写时是否相等|不区分大小写地比较 @a 和 @b",
        "check if two strings are equal ignoring case", "判断两个字符串忽略大小写时是否相等", 'f("aB", "Ab") => true'),
]
