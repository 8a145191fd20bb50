"""Families of functions of numbers."""

from .function_family import Family, family

NUMBERS: list[Family] = [
    family(
        "double|twice|times two|double value", "n:num", "num", "return @a * 2", "return @a * 2;",
        "return @a multiplied by 2|return twice @a|return two times @a|return the double of @a",
        "返回 @a 乘以 2 的结果|返回 @a 的两倍|返回 @a 的 2 倍|计算 @a 的两倍",
        "double a number|return twice a number", "把一个数翻倍|返回一个数的两倍", "f(3) => 6; f(-4) => -8"),
    family(
        "triple|times three|triple value", "n:num", "num", "return @a * 3", "return @a * 3;",
        "return @a multiplied by 3|return three times @a|triple @a and return it",
        "返回 @a 乘以 3 的结果|返回 @a 的三倍|返回 @a 的 3 倍",
        "triple a number|return three times a number", "返回一个数的三倍|把一个数变成三倍", "f(3) => 9"),
    family(
        "square|squared|square number", "n:num", "num", "return @a * @a", "return @a * @a;",
        "return @a multiplied by itself|return the square of @a|return @a squared|compute the square of @a",
        "返回 @a 乘以自身的结果|返回 @a 的平方|计算 @a 的平方",
        "square a number|return the square of a number", "返回一个数的平方|计算一个数的平方", "f(5) => 25"),
    family(
        "cube|cubed|cube number", "n:num", "num", "return @a ** 3", "return @a ** 3;",
        "return @a to the power of 3|return the cube of @a|return @a cubed|compute the cube of @a",
        "返回 @a 的 3 次方|返回 @a 的立方|计算 @a 的立方",
        "cube a number|return the cube of a number", "返回一个数的立方|计算一个数的立方", "f(3) => 27"),
    family(
        "half|halve|half value", "n:num", "num", "return @a / 2", "return @a / 2;",
        "return @a divided by 2|return half of @a|return one half of @a|halve @a",
        "返回 @a 除以 2 的结果|返回 @a 的一半|计算 @a 的一半",
        "halve a number|return half of a number", "返回一个数的一半|把一个数减半", "f(6) => 6 / 2"),
    family(
        "negate|negative of|flip sign|opposite", "n:num", "num", "return -@a", "return -@a;",
        "return @a with the opposite sign|return the negative of @a|negate @a|return minus @a",
        "返回 @a 的相反数|返回负的 @a|把 @a 取反后返回",
        "negate a number|return the opposite of a number", "返回一个数的相反数", "f(3) => -3"),
    family(
        "absolute|absolute value|magnitude", "n:num", "num", "return abs(@a)", "return Math.abs(@a);",
        "return the absolute value of @a|return @a without its sign|compute the absolute value of @a",
        "返回 @a 的绝对值|计算 @a 的绝对值|求 @a 的绝对值",
        "return the absolute value of a number", "返回一个数的绝对值|求绝对值", "f(-3) => 3; f(2) => 2"),
    family(
        "is even|even|check even|number is even", "n:int", "bool", "return @a % 2 == 0", "return @a % 2 === 0;",
        "return whether @a is even|check if @a is even|tell whether @a is an even number"
        "|return true if @a is even",
        "判断 @a 是否为偶数|检查 @a 是不是偶数|如果 @a 是偶数就返回真",
        "check if a number is even|return whether a number is even", "判断一个数是否为偶数|检查一个数是不是偶数",
        "f(4) => true; f(3) => false"),
    family(
        "is odd|odd|check odd|number is odd", "n:int", "bool", "return @a % 2 != 0", "return @a % 2 !== 0;",
        "return whether @a is odd|check if @a is odd|tell whether @a is an odd number|return true if @a is odd",
        "判断 @a 是否为奇数|检查 @a 是不是奇数|如果 @a 是奇数就返回真",
        "check if a number is odd|return whether a number is odd", "判断一个数是否为奇数|检查一个数是不是奇数",
        "f(4) => false; f(3) => true"),
    family(
        "is positive|positive|check positive", "n:num", "bool", "return @a > 0", "return @a > 0;",
        "return whether @a is positive|check if @a is positive|tell whether @a is greater than zero",
        "判断 @a 是否为正数|检查 @a 是不是正数|判断 @a 是否大于零",
        "check if a number is positive", "判断一个数是否为正数", "f(1) => true; f(0) => false"),
    family(
        "is negative|negative|check negative", "n:num", "bool", "return @a < 0", "return @a < 0;",
        "return whether @a is negative|check if @a is negative|tell whether @a is less than zero",
        "判断 @a 是否为负数|检查 @a 是不是负数|判断 @a 是否小于零",
        "check if a number is negative", "判断一个数是否为负数", "f(-1) => true; f(0) => false"),
    family(
        "is zero|zero|equals zero", "n:num", "bool", "return @a == 0", "return @a === 0;",
        "return whether @a is zero|check if @a is zero|tell whether @a equals zero",
        "判断 @a 是否为零|检查 @a 是不是零|判断 @a 是否等于零",
        "check if a number is zero", "判断一个数是否为零", "f(0) => true; f(2) => false"),
    family(
        "add|sum of two|plus|add numbers", "a:num b:num", "num", "return @a + @b", "return @a + @b;",
        "return the sum of @a and @b|add @a and @b|return @a plus @b|compute @a plus @b",
        "返回 @a 与 @b 的和|返回 @a 加 @b 的结果|计算 @a 加 @b|把 @a 和 @b 相加",
        "add two numbers|return the sum of two numbers", "把两个数相加|返回两个数的和", "f(2, 3) => 5"),
    family(
        "subtract|minus|difference", "a:num b:num", "num", "return @a - @b", "return @a - @b;",
        "return @a minus @b|subtract @b from @a|return the result of taking @b away from @a",
        "返回 @a 减 @b 的结果|返回 @a 减去 @b 的差|从 @a 中减去 @b",
        "subtract the second number from the first", "返回两个数的差|用第一个数减去第二个数", "f(7, 3) => 4"),
    family(
        "multiply|product of two|times", "a:num b:num", "num", "return @a * @b", "return @a * @b;",
        "return the product of @a and @b|multiply @a by @b|return @a times @b",
        "返回 @a 与 @b 的积|返回 @a 乘以 @b 的结果|计算 @a 乘 @b",
        "multiply two numbers|return the product of two numbers", "把两个数相乘|返回两个数的乘积", "f(2, 3) => 6"),
    family(
        "divide|quotient|divided by", "a:num b:num", "num", "return @a / @b", "return @a / @b;",
        "return @a divided by @b|divide @a by @b|return the quotient of @a and @b",
        "返回 @a 除以 @b 的结果|返回 @a 与 @b 的商|计算 @a 除以 @b",
        "divide the first number by the second|divide two numbers", "用第一个数除以第二个数|返回两个数的商",
        "f(6, 3) => 6 / 3"),
    family(
        "remainder|modulo|mod", "a:int b:int", "int", "return @a % @b", "return @a % @b;",
        "return the remainder of @a divided by @b|return @a modulo @b|compute the remainder when @a is divided by @b",
        "返回 @a 除以 @b 的余数|返回 @a 对 @b 取模的结果|求 @a 除以 @b 的余数",
        "return the remainder of a division|return the remainder of two numbers", "返回两个数相除的余数", "f(7, 3) => 1"),
    family(
        "power|raise to|pow of", "base:num exponent:int", "num", "return @a ** @b", "return @a ** @b;",
        "return @a to the power of @b|raise @a to the power @b|return @a raised to @b",
        "返回 @a 的 @b 次方|计算 @a 的 @b 次幂|求 @a 的 @b 次方",
        "raise a base to an exponent|return a number to a power", "返回一个数的若干次方|计算乘方", "f(2, 3) => 8"),
    family(
        "max of two|larger|bigger|max two", "a:num b:num", "num",
        "return @a if @a > @b else @b", "return @a > @b ? @a : @b;",
        "return the larger of @a and @b|return the maximum of @a and @b|return the greater of @a and @b",
        "返回 @a 和 @b 中较大的一个|返回 @a 与 @b 的最大值|求 @a 和 @b 中的较大值",
        "return the larger of two numbers|return the maximum of two numbers", "返回两个数中较大的一个|求两个数的最大值",
        "f(2, 3) => 3; f(5, 1) => 5"),
    family(
        "min of two|smaller|min two|lesser", "a:num b:num", "num",
        "return @a if @a < @b else @b", "return @a < @b ? @a : @b;",
        "return the smaller of @a and @b|return the minimum of @a and @b|return the lesser of @a and @b",
        "返回 @a 和 @b 中较小的一个|返回 @a 与 @b 的最小值|求 @a 和 @b 中的较小值",
        "return the smaller of two numbers|return the minimum of two numbers", "返回两个数中较小的一个|求两个数的最小值",
        "f(2, 3) => 2; f(5, 1) => 1"),
    family(
        "max of three|largest of three|max three", "a:num b:num c:num", "num",
        "return max(@a, @b, @c)", "return Math.max(@a, @b, @c);",
        "return the largest of @a, @b and @c|return the maximum of @a, @b and @c",
        "返回 @a、@b 和 @c 中最大的一个|求 @a、@b、@c 的最大值",
        "return the largest of three numbers|return the maximum of three numbers", "返回三个数中最大的一个|求三个数的最大值",
        "f(2, 9, 3) => 9"),
    family(
        "clamp|limit|clamp value|restrict", "value:num low:num high:num", "num",
        "return max(@b, min(@a, @c))", "return Math.max(@b, Math.min(@a, @c));",
        "return @a limited to the range from @b to @c|clamp @a between @b and @c|keep @a between @b and @c",
        "把 @a 限制在 @b 到 @c 之间|返回限制在 @b 和 @c 之间的 @a",
        "clamp a value between a low and a high bound|limit a number to a range", "把一个数限制在给定范围内|实现 clamp",
        "f(5, 1, 3) => 3; f(0, 1, 3) => 1; f(2, 1, 3) => 2"),
    family(
        "average of two|mean of two|midpoint", "a:num b:num", "num", "return (@a + @b) / 2", "return (@a + @b) / 2;",
        "return the average of @a and @b|return the mean of @a and @b|compute the average of @a and @b",
        "返回 @a 和 @b 的平均数|计算 @a 与 @b 的平均值|求 @a 和 @b 的均值",
        "return the average of two numbers", "返回两个数的平均数|求两个数的平均值", "f(2, 4) => 6 / 2"),
    family(
        "increment|add one|next number|plus one", "n:int", "int", "return @a + 1", "return @a + 1;",
        "return @a plus 1|return @a increased by one|add one to @a|return the number after @a",
        "返回 @a 加 1 的结果|把 @a 加一后返回|返回 @a 的下一个数",
        "add one to a number|increment a number", "把一个数加一", "f(3) => 4"),
    family(
        "decrement|subtract one|previous number|minus one", "n:int", "int", "return @a - 1", "return @a - 1;",
        "return @a minus 1|return @a decreased by one|subtract one from @a|return the number before @a",
        "返回 @a 减 1 的结果|把 @a 减一后返回|返回 @a 的前一个数",
        "subtract one from a number|decrement a number", "把一个数减一", "f(3) => 2"),
    family(
        "add constant|shift|increase", "n:num", "num", "return @a + @k", "return @a + @k;",
        "return @a plus @k|add @k to @a|return @a increased by @k|return the sum of @a and @k",
        "返回 @a 加 @k 的结果|把 @a 加上 @k 后返回|返回 @a 与 @k 的和",
        "add @k to a number", "把一个数加上 @k", "f(3) => 3 + @k"),
    family(
        "subtract constant|reduce|decrease", "n:num", "num", "return @a - @k", "return @a - @k;",
        "return @a minus @k|subtract @k from @a|return @a decreased by @k",
        "返回 @a 减 @k 的结果|把 @a 减去 @k 后返回|返回 @a 减去 @k 的差",
        "subtract @k from a number", "把一个数减去 @k", "f(3) => 3 - @k"),
    family(
        "scale|multiply constant|scaled", "n:num", "num", "return @a * @k", "return @a * @k;",
        "return @a multiplied by @k|return @a times @k|multiply @a by @k|return @k times @a",
        "返回 @a 乘以 @k 的结果|返回 @a 的 @k 倍|把 @a 乘以 @k 后返回",
        "multiply a number by @k|return @k times a number", "把一个数乘以 @k|返回一个数的 @k 倍", "f(3) => 3 * @k"),
    family(
        "divide constant|share|split evenly", "n:num", "num", "return @a / @k", "return @a / @k;",
        "return @a divided by @k|divide @a by @k",
        "返回 @a 除以 @k 的结果|把 @a 除以 @k 后返回", "divide a number by @k", "把一个数除以 @k", "f(@k * 3) => @k * 3 / @k"),
    family(
        "is above|exceeds|is greater", "n:num", "bool", "return @a > @k", "return @a > @k;",
        "return whether @a is greater than @k|check if @a is greater than @k|tell whether @a is more than @k"
        "|check if @a is above @k",
        "判断 @a 是否大于 @k|检查 @a 是不是大于 @k|判断 @a 是否超过 @k",
        "check if a number is greater than @k", "判断一个数是否大于 @k", "f(@k) => false; f(@k + 1) => true"),
    family(
        "is below|is less|is under", "n:num", "bool", "return @a < @k", "return @a < @k;",
        "return whether @a is less than @k|check if @a is less than @k|tell whether @a is smaller than @k"
        "|check if @a is below @k",
        "判断 @a 是否小于 @k|检查 @a 是不是小于 @k|判断 @a 是否低于 @k",
        "check if a number is less than @k", "判断一个数是否小于 @k", "f(@k) => false; f(@k - 1) => true"),
    family(
        "is at least|reaches|meets minimum", "n:num", "bool", "return @a >= @k", "return @a >= @k;",
        "return whether @a is at least @k|check if @a is at least @k|check if @a is greater than or equal to @k",
        "判断 @a 是否大于或等于 @k|检查 @a 是否不小于 @k|判断 @a 是否至少为 @k",
        "check if a number is at least @k", "判断一个数是否大于或等于 @k", "f(@k) => true; f(@k - 1) => false"),
    family(
        "is divisible|divisible by constant", "n:int", "bool", "return @a % @k == 0", "return @a % @k === 0;",
        "return whether @a is divisible by @k|check if @a is divisible by @k|tell whether @a is a multiple of @k",
        "判断 @a 是否能被 @k 整除|检查 @a 是不是 @k 的倍数|判断 @a 是否是 @k 的倍数",
        "check if a number is divisible by @k", "判断一个数是否能被 @k 整除", "f(@k * 3) => true; f(@k * 3 + 1) => false"),
    family(
        "is multiple|divides evenly|is multiple of", "a:int b:int", "bool", "return @a % @b == 0",
        "return @a % @b === 0;",
        "return whether @a is a multiple of @b|check if @a is divisible by @b",
        "判断 @a 是否是 @b 的倍数|检查 @a 能否被 @b 整除",
        "check if one number is a multiple of another", "判断一个数是否是另一个数的倍数", "f(6, 3) => true; f(7, 3) => false"),
    family(
        "is between|in range|within", "n:num low:num high:num", "bool",
        "return @b <= @a <= @c", "return @a >= @b && @a <= @c;",
        "return whether @a is between @b and @c|check if @a lies between @b and @c"
        "|check if @a is in the range from @b to @c",
        "判断 @a 是否在 @b 和 @c 之间|检查 @a 是否在 @b 到 @c 的范围内",
        "check if a number is between two bounds", "判断一个数是否在给定范围内", "f(2, 1, 3) => true; f(4, 1, 3) => false"),
    family(
        "are equal|equals|is same", "a:num b:num", "bool", "return @a == @b", "return @a === @b;",
        "return whether @a and @b are equal|check if @a equals @b|tell whether @a is the same as @b",
        "判断 @a 和 @b 是否相等|检查 @a 是否等于 @b", "check if two numbers are equal", "判断两个数是否相等",
        "f(2, 2) => true; f(4, 1) => false"),
    family(
        "factorial|fact", "n:int", "int",
        "if @a <= 1:\n    return 1\nreturn @a * @f(@a - 1)", "if (@a <= 1) {\n  return 1;\n}\nreturn @a * @f(@a - 1);",
        "return the factorial of @a|compute the factorial of @a", "返回 @a 的阶乘|计算 @a 的阶乘",
        "compute the factorial of a number|return the factorial of n", "计算一个数的阶乘|求阶乘", "f(4) => 24; f(0) => 1"),
    family(
        "fibonacci|fib|nth fibonacci", "n:int", "int",
        "if @a < 2:\n    return @a\nreturn @f(@a - 1) + @f(@a - 2)",
        "if (@a < 2) {\n  return @a;\n}\nreturn @f(@a - 1) + @f(@a - 2);",
        "return the Fibonacci number at index @a|compute Fibonacci number @a|return the @a-th Fibonacci number",
        "返回第 @a 个斐波那契数|计算第 @a 个斐波那契数",
        "compute the n-th Fibonacci number|return the nth fibonacci number", "计算第 n 个斐波那契数|求斐波那契数",
        "f(7) => 13"),
    family(
        "fizzbuzz|fizz buzz", "n:int", "str",
        '@!if @a % 15 == 0:\n    return "FizzBuzz"\nif @a % 3 == 0:\n    return "Fizz"\n'
        'if @a % 5 == 0:\n    return "Buzz"\nreturn str(@a)',
        '@!if (@a % 15 === 0) {\n  return "FizzBuzz";\n}\nif (@a % 3 === 0) {\n  return "Fizz";\n}\n'
        'if (@a % 5 === 0) {\n  return "Buzz";\n}\nreturn String(@a);',
        "return the FizzBuzz word of @a|return the FizzBuzz answer for @a|do FizzBuzz for @a",
        "返回 @a 的 FizzBuzz 结果|对 @a 做 FizzBuzz",
        "return the FizzBuzz word of a number|do FizzBuzz for a number", "返回一个数的 FizzBuzz 结果|实现 FizzBuzz",
        'f(15) => "FizzBuzz"; f(9) => "Fizz"; f(10) => "Buzz"; f(7) => "7"'),
    family(
        "sum to|sum up to|triangular", "n:int", "int", "return @a * (@a + 1) // 2", "return (@a * (@a + 1)) / 2;",
        "return the sum of the numbers from 1 to @a|add all numbers from 1 to @a|compute the sum 1 + 2 + ... + @a",
        "返回从 1 到 @a 的所有数之和|计算 1 到 @a 的总和|求 1 加到 @a 的和",
        "return the sum of the numbers from 1 to n", "返回从 1 到 n 的和|计算 1 加到 n 的和", "f(4) => 10"),
    family(
        "gcd|greatest common divisor", "a:int b:int", "int",
        "while @b:\n    @!@a, @b = @b, @a % @b\nreturn @a", "return @b === 0 ? @a : @f(@b, @a % @b);",
        "return the greatest common divisor of @a and @b|compute the gcd of @a and @b",
        "返回 @a 和 @b 的最大公约数|计算 @a 与 @b 的最大公约数",
        "compute the greatest common divisor of two numbers|return the gcd of two numbers", "求两个数的最大公约数",
        "f(12, 18) => 6"),
    family(
        "is leap year|leap year|is leap", "year:int", "bool",
        "return @a % 4 == 0 and (@a % 100 != 0 or @a % 400 == 0)",
        "return @a % 4 === 0 && (@a % 100 !== 0 || @a % 400 === 0);",
        "return whether @a is a leap year|check if @a is a leap year|tell whether the year @a is a leap year",
        "判断 @a 是否为闰年|检查 @a 年是不是闰年", "check if a year is a leap year", "判断一个年份是否为闰年|判断闰年",
        "f(2024) => true; f(1900) => false; f(2000) => true"),
    family(
        "celsius to fahrenheit|to fahrenheit|c to f", "celsius:num", "num", "return @a * 9 / 5 + 32",
        "return (@a * 9) / 5 + 32;",
        "convert @a from Celsius to Fahrenheit|convert @a degrees Celsius to Fahrenheit"
        "|return @a Celsius in Fahrenheit",
        "把 @a 从摄氏度转换为华氏度|把摄氏度 @a 换算成华氏度",
        "convert Celsius to Fahrenheit", "把摄氏度转换为华氏度|摄氏转华氏", "f(100) => 424 / 2"),
    family(
        "fahrenheit to celsius|to celsius|f to c", "fahrenheit:num", "num", "return (@a - 32) * 5 / 9",
        "return ((@a - 32) * 5) / 9;",
        "convert @a from Fahrenheit to Celsius|convert @a degrees Fahrenheit to Celsius"
        "|return @a Fahrenheit in Celsius",
        "把 @a 从华氏度转换为摄氏度|把华氏度 @a 换算成摄氏度",
        "convert Fahrenheit to Celsius", "把华氏度转换为摄氏度|华氏转摄氏", "f(50) => 90 / 9"),
    family(
        "rectangle area|area of rectangle|rect area", "width:num height:num", "num", "return @a * @b",
        "return @a * @b;",
        "return the area of a rectangle with sides @a and @b|compute the area of a rectangle of @a by @b",
        "返回边长为 @a 和 @b 的矩形的面积|计算 @a 乘 @b 的长方形面积",
        "return the area of a rectangle|compute the area of a rectangle", "计算矩形的面积|返回长方形的面积", "f(2, 3) => 6"),
    family(
        "rectangle perimeter|perimeter", "width:num height:num", "num", "return 2 * (@a + @b)", "return 2 * (@a + @b);",
        "return the perimeter of a rectangle with sides @a and @b|compute the perimeter of a rectangle of @a by @b",
        "返回边长为 @a 和 @b 的矩形的周长|计算 @a 乘 @b 的长方形周长",
        "return the perimeter of a rectangle", "计算矩形的周长|返回长方形的周长", "f(2, 3) => 10"),
    family(
        "circle area|area of circle", "radius:num", "num", "return math.pi * @a ** 2", "return Math.PI * @a ** 2;",
        "return the area of a circle with radius @a|compute the area of a circle of radius @a",
        "返回半径为 @a 的圆的面积|计算半径为 @a 的圆面积",
        "return the area of a circle|compute the area of a circle", "计算圆的面积", "f(0) => 0 / 1",
        imports_python="import math"),
    family(
        "circumference|circle circumference", "radius:num", "num", "return 2 * math.pi * @a",
        "return 2 * Math.PI * @a;",
        "return the circumference of a circle with radius @a|compute the circumference of a circle of radius @a",
        "返回半径为 @a 的圆的周长|计算半径为 @a 的圆周长",
        "return the circumference of a circle", "计算圆的周长", "f(0) => 0 / 1", imports_python="import math"),
    family(
        "triangle area|area of triangle", "base:num height:num", "num", "return @a * @b / 2", "return (@a * @b) / 2;",
        "return the area of a triangle with base @a and height @b|compute the area of a triangle from @a and @b",
        "返回底为 @a、高为 @b 的三角形的面积|计算底 @a、高 @b 的三角形面积",
        "return the area of a triangle", "计算三角形的面积", "f(4, 3) => 12 / 2"),
    family(
        "minutes to seconds|to seconds", "minutes:num", "num", "return @a * 60", "return @a * 60;",
        "convert @a from minutes to seconds|return the number of seconds in @a minutes",
        "把 @a 分钟转换为秒|返回 @a 分钟的秒数", "convert minutes to seconds", "把分钟转换为秒", "f(2) => 120"),
    family(
        "hours to minutes|to minutes", "hours:num", "num", "return @a * 60", "return @a * 60;",
        "convert @a from hours to minutes|return the number of minutes in @a hours",
        "把 @a 小时转换为分钟|返回 @a 小时的分钟数", "convert hours to minutes", "把小时转换为分钟", "f(2) => 120"),
    family(
        "km to meters|to meters|kilometers to meters", "km:num", "num", "return @a * 1000", "return @a * 1000;",
        "convert @a from kilometers to meters|return the number of meters in @a kilometers",
        "把 @a 千米转换为米|返回 @a 公里的米数", "convert kilometers to meters", "把千米转换为米", "f(2) => 2000"),
    family(
        "sign|sign of|signum", "n:num", "int",
        "@!if @a > 0:\n    return 1\nif @a < 0:\n    return -1\nreturn 0",
        "@!if (@a > 0) {\n  return 1;\n}\nif (@a < 0) {\n  return -1;\n}\nreturn 0;",
        "return 1 if @a is positive, -1 if it is negative and 0 otherwise|return the sign of @a as 1, -1 or 0",
        "如果 @a 为正返回 1，为负返回 -1，否则返回 0|用 1、-1 或 0 返回 @a 的符号",
        "return the sign of a number as 1, -1 or 0", "用 1、-1 或 0 返回一个数的符号", "f(5) => 1; f(-2) => -1; f(0) => 0"),
    family(
        "is prime|prime|check prime", "n:int", "bool",
        "if @a < 2:\n    return False\nfor i in range(2, @a):\n    @!if @a % i == 0:\n        return False\n"
        "return True",
        "if (@a < 2) {\n  return false;\n}\nfor (let i = 2; i < @a; i++) {\n  @!if (@a % i === 0) {\n"
        "    return false;\n  }\n}\nreturn true;",
        "return whether @a is a prime number|check if @a is prime", "判断 @a 是否为质数|检查 @a 是不是素数",
        "check if a number is prime|return whether a number is prime", "判断一个数是否为质数|判断素数",
        "f(7) => true; f(9) => false; f(1) => false"),
    family(
        "digit sum|sum of digits|sum digits", "n:int", "int", "return sum(int(ch) for ch in str(@a))",
        "return [...String(@a)].reduce((total, ch) => total + Number(ch), 0);",
        "return the sum of the digits of @a|add up the digits of @a", "返回 @a 的各位数字之和|把 @a 的各位数字相加",
        "return the sum of the digits of a number", "返回一个数的各位数字之和", "f(123) => 6"),
    family(
        "count digits|digit count|number of digits", "n:int", "int", "return len(str(@a))",
        "return String(@a).length;",
        "return how many digits @a has|count the digits of @a|return the number of digits of @a",
        "返回 @a 有几位数字|统计 @a 的位数", "count the digits of a number", "返回一个数的位数", "f(123) => 3"),
    family(
        "last digit|ones digit", "n:int", "int", "return @a % 10", "return @a % 10;",
        "return the last digit of @a|return the ones digit of @a", "返回 @a 的最后一位数字|返回 @a 的个位数字",
        "return the last digit of a number", "返回一个数的个位数字", "f(123) => 3"),
    family(
        "round up|ceil|ceiling", "n:num", "int", "return math.ceil(@a)", "return Math.ceil(@a);",
        "return @a rounded up|round @a up to a whole number", "返回 @a 向上取整的结果|把 @a 向上取整",
        "round a number up", "把一个数向上取整", "f(2.5) => 3", imports_python="import math"),
    family(
        "round down|floor", "n:num", "int", "return math.floor(@a)", "return Math.floor(@a);",
        "return @a rounded down|round @a down to a whole number", "返回 @a 向下取整的结果|把 @a 向下取整",
        "round a number down", "把一个数向下取整", "f(2.5) => 2", imports_python="import math"),
    family(
        "square root|sqrt of|root", "n:num", "num", "return math.sqrt(@a)", "return Math.sqrt(@a);",
        "return the square root of @a|compute the square root of @a", "返回 @a 的平方根|计算 @a 的平方根",
        "return the square root of a number", "返回一个数的平方根", "f(9) => 9 / 3", imports_python="import math"),
    family(
        "hypotenuse|hypot of", "a:num b:num", "num", "return math.sqrt(@a ** 2 + @b ** 2)",
        "return Math.sqrt(@a ** 2 + @b ** 2);",
        "return the hypotenuse of a right triangle with legs @a and @b|compute the hypotenuse from @a and @b",
        "返回直角边为 @a 和 @b 的三角形的斜边|根据 @a 和 @b 计算斜边",
        "return the hypotenuse of a right triangle", "计算直角三角形的斜边", "f(3, 4) => 10 / 2",
        imports_python="import math"),
    family(
        "safe divide|divide or zero|safe division", "a:num b:num", "num",
        "if @b == 0:\n    return 0\nreturn @a / @b", "if (@b === 0) {\n  return 0;\n}\nreturn @a / @b;",
        "return @a divided by @b, or 0 if @b is zero|divide @a by @b safely, giving 0 when @b is 0",
        "返回 @a 除以 @b 的结果，@b 为零时返回 0|安全地计算 @a 除以 @b，除数为 0 时返回 0",
        "divide two numbers and return 0 if the divisor is zero", "把两个数相除，除数为零时返回 0",
        "f(6, 3) => 6 / 3; f(1, 0) => 0"),
    family(
        "random int|random between|random number", "low:int high:int", "int", "return random.randint(@a, @b)",
        "return @a + Math.floor(Math.random() * (@b - @a + 1));",
        "return a random whole number from @a to @b|return a random integer between @a and @b",
        "返回 @a 到 @b 之间的随机整数|随机返回 @a 和 @b 之间的一个整数",
        "return a random integer between two bounds", "返回给定范围内的随机整数", "f(4, 4) => 4",
        imports_python="import random"),
    family(
        "percentage|percent of|to percent", "part:num whole:num", "num", "return @a / @b * 100",
        "return (@a / @b) * 100;",
        "return @a as a percentage of @b|compute what percentage of @b @a is",
        "返回 @a 占 @b 的百分比|计算 @a 是 @b 的百分之几", "return a part as a percentage of a whole", "计算部分占整体的百分比",
        "f(1, 2) => 100 / 2"),
    family(
        "apply discount|discounted|discounted price", "price:num percent:num", "num",
        "return @a * (100 - @b) / 100", "return (@a * (100 - @b)) / 100;",
        "return @a reduced by @b percent|take @b percent off @a",
        "返回 @a 减少百分之 @b 之后的值|从 @a 中减去百分之 @b",
        "apply a discount in percent to a price", "按百分比给价格打折", "f(100, 25) => 150 / 2"),
    family(
        "distance|gap|absolute difference", "a:num b:num", "num", "return abs(@a - @b)", "return Math.abs(@a - @b);",
        "return the absolute difference of @a and @b|return the distance between @a and @b",
        "返回 @a 与 @b 之差的绝对值|返回 @a 和 @b 之间的距离",
        "return the absolute difference of two numbers", "返回两个数之差的绝对值", "f(3, 7) => 4"),
    family(
        "range list|numbers up to|one to n", "n:int", "ints", "return list(range(1, @a + 1))",
        "return Array.from({ length: @a }, (_, i) => i + 1);",
        "return a list of the numbers from 1 to @a|return all numbers from 1 to @a as a list",
        "返回从 1 到 @a 的数字列表|以列表形式返回 1 到 @a 的所有数",
        "return a list of the numbers from 1 to n", "返回从 1 到 n 的列表", "f(3) => [1, 2, 3]"),
    family(
        "scale by|multiply by|scale with default", "n:num factor:num", "num", "return @a * @b", "return @a * @b;",
        "return @a times @b, which is @k by default|multiply @a by @b (default @k)",
        "返回 @a 乘以 @b 的结果，@b 默认为 @k|计算 @a 乘 @b（默认值 @k）", "", "", "f(3) => 3 * @k; f(3, 2) => 6",
        default="b=@k"),
    family(
        "add step|advance|step forward", "n:num step:num", "num", "return @a + @b", "return @a + @b;",
        "return @a plus @b, which is @k by default|add @b (default @k) to @a",
        "返回 @a 加 @b 的结果，@b 默认为 @k|把 @b（默认值 @k）加到 @a 上", "", "", "f(3) => 3 + @k; f(3, 2) => 5",
        default="b=@k"),
    family(
        "grade|pass or fail|result of", "score:num", "str",
        '@!if @a >= @k:\n    return "pass"\nreturn "fail"', '@!if (@a >= @k) {\n  return "pass";\n}\nreturn "fail";',
        'return "pass" if @a is at least @k, otherwise "fail"|return "pass" when @a is @k or more and "fail" otherwise',
        '如果 @a 不小于 @k 返回 "pass"，否则返回 "fail"|@a 达到 @k 时返回 "pass"，否则返回 "fail"',
        'return "pass" if a number is at least @k, otherwise "fail"', '数值不小于 @k 时返回 "pass"，否则返回 "fail"',
        'f(@k) => "pass"; f(@k - 1) => "fail"'),
    family(
        "cap|at most|upper limit", "n:num", "num", "return min(@a, @k)", "return Math.min(@a, @k);",
        "return @a, but at most @k|limit @a to at most @k|return the smaller of @a and @k",
        "返回 @a，但最大为 @k|把 @a 限制为不超过 @k|返回 @a 与 @k 中较小的一个",
        "limit a number to at most @k", "把一个数限制为不超过 @k", "f(@k + 5) => @k"),
]
