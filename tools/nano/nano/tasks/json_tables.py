"""What the JSON questions speak of: fields with their values, and sentences that tell of some of them."""

from collections.abc import Callable
from random import Random

from ..phrasing import between, pick
from .word_problems_en import NAMES as NAMES_EN
from .word_problems_zh import NAMES as NAMES_ZH

# A field makes a value: as it stands in the sentence and as JSON.
Field = Callable[[Random], tuple[str, str]]


def word(words: str | list[str], separator: str = ",") -> Field:
    """One of several texts."""
    rows = [text.strip() for text in words.split(separator)] if isinstance(words, str) else words
    return lambda rng: (lambda text: (text, f'"{text}"'))(pick(rng, rows))


def number(low: int, high: int) -> Field:
    """A whole number."""

    def make(rng: Random) -> tuple[str, str]:
        value = str(between(rng, low, high))
        return value, value

    return make


def price(low: int, high: int) -> Field:
    """An amount with two decimals, the last of them not zero, or a whole one."""

    def make(rng: Random) -> tuple[str, str]:
        value = str(between(rng, low, high))
        if rng.random() < 0.4:
            value += f".{between(rng, 0, 9)}{between(rng, 1, 9)}"
        return value, value

    return make


def flag(yes: str, no: str) -> Field:
    """Something that is so or is not."""
    return lambda rng: (yes, "true") if rng.random() < 0.5 else (no, "false")


_CITIES_EN = word(
    "Berlin,Paris,London,Madrid,Rome,Vienna,Oslo,Lisbon,Tokyo,Beijing,Shanghai,Boston,Chicago,Toronto,Sydney,Cairo,"
    "Lima,Delhi,Seoul,Prague,Dublin,Warsaw,Athens,Munich,Hamburg,Geneva,Nairobi,Austin")
_CITIES_ZH = word("北京,上海,广州,深圳,杭州,南京,成都,重庆,武汉,西安,天津,苏州,青岛,大连,厦门,长沙,昆明,哈尔滨,沈阳,济南,福州,合肥,宁波,郑州")
_COUNTRIES_EN = word(
    "Germany,France,Spain,Italy,Austria,Norway,Portugal,Japan,China,Canada,Egypt,Peru,India,Korea,Poland,Greece,Kenya,"
    "Brazil,Mexico")
_COUNTRIES_ZH = word("中国,法国,德国,日本,韩国,英国,意大利,西班牙,加拿大,巴西,印度,埃及,泰国,越南,俄罗斯,荷兰")
_DAYS_EN = word("Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday")
_DAYS_ZH = word("星期一,星期二,星期三,星期四,星期五,星期六,星期日")


def _clock(rng: Random) -> tuple[str, str]:
    text = f"{between(rng, 7, 21):02d}:{pick(rng, ('00', '15', '30', '45'))}"
    return text, f'"{text}"'


def _year(rng: Random) -> tuple[str, str]:
    text = str(between(rng, 1900, 2025))
    return text, text


def _port(rng: Random) -> tuple[str, str]:
    text = str(pick(rng, (80, 443, 3000, 5000, 5432, 6379, 8000, 8080, 8443, 9000)))
    return text, text


def _address(rng: Random) -> tuple[str, str]:
    text = f"10.0.{between(rng, 0, 9)}.{between(rng, 1, 99)}"
    return text, f'"{text}"'


def _host(rng: Random) -> tuple[str, str]:
    text = pick(rng, ("web", "db", "api", "cache", "mail", "build", "app", "auth", "proxy",
        "backup")) + f"-{between(rng, 1, 20)}"
    return text, f'"{text}"'


def _email(rng: Random) -> tuple[str, str]:
    user = pick(rng, NAMES_EN)[0].lower() + str(between(rng, 1, 99))
    text = f"{user}@{pick(rng, ('mail', 'example', 'post', 'web'))}.{pick(rng, ('com', 'org', 'net'))}"
    return text, f'"{text}"'


_CLOCK: Field = _clock
_YEAR: Field = _year
_NAME_EN = word([row[0] for row in NAMES_EN])
_NAME_ZH = word([row[0] for row in NAMES_ZH])

# Of each domain: its fields by key, and the sentences.
DOMAINS_EN: list[tuple[dict[str, Field], list[str]]] = [
    (
        {
            "name": _NAME_EN, "age": number(5, 90), "city": _CITIES_EN,
            "hobby": word("chess,tennis,painting,cooking,swimming,reading,hiking,cycling,singing,dancing,fishing,"
            "gardening"),
            "job": word("teacher,nurse,baker,pilot,lawyer,driver,farmer,doctor,singer,painter,plumber,designer,"
            "developer,dentist,waiter,cook"), "height": number(120, 205),
            "married": flag("is married", "is not married"),
            "email": _email,
        },
        [
            "{name} is {age} years old and lives in {city}.", "{name} is a {job} from {city}.",
            "{name}, {age}, works as a {job} in {city}.", "My friend {name} from {city} is {age} and likes {hobby}.",
            "{name} is {age} years old, {height} cm tall and {married}.",
            "The {job} {name} lives in {city} and is {age} years old.", "{name} likes {hobby} and is {age}.",
            "{name} ({age}) lives in {city}, works as a {job} and likes {hobby}.",
            "{name} lives in {city} and {married}.", "A {job} of {age} years named {name} moved to {city}.",
            "You can reach {name} in {city} at {email}.", "{name} is {age}, the address is {email}.",
        ],
    ),
    (
        {
            "product": word("lamp,chair,table,phone,laptop,keyboard,mouse,backpack,jacket,watch,camera,printer,"
            "bicycle,guitar,mug,tent,bottle,monitor,speaker,tablet"), "price": price(2, 900),
            "color": word("red,blue,green,black,white,yellow,brown,gray,pink,silver"),
            "weight": number(1, 50), "stock": number(0, 500), "in_stock": flag("is in stock", "is not in stock"),
            "brand": word("Nordo,Altek,Luma,Brixo,Vanta,Solis,Kermo,Tavi,Orbit,Pine"),
        },
        [
            "The {product} costs {price} dollars and {in_stock}.", "A {color} {product} costs {price} euros.",
            "The {color} {product} by {brand} weighs {weight} kg and costs {price} dollars.",
            "We have {stock} pieces of the {product}, each for {price} dollars.",
            "This {product} is {color}, weighs {weight} kg and {in_stock}.",
            "The {product} of the brand {brand} {in_stock}.", "{brand} sells a {color} {product} for {price} dollars.",
            "Product: {product}, price {price}, color {color}, stock {stock}.",
        ],
    ),
    (
        {
            "order": number(100, 9999), "customer": _NAME_EN, "quantity": number(1, 60),
            "item": word("pens,books,lamps,chairs,cables,mugs,shirts,shoes,plates,tickets,bulbs,posters"),
            "total": price(5, 990), "paid": flag("is paid", "is not paid"),
            "day": _DAYS_EN, "express": flag("ships by express", "does not ship by express"),
        },
        [
            "Order {order} from {customer} is for {quantity} {item}.",
            "{customer} ordered {quantity} {item} for {total} dollars.",
            "Order {order} costs {total} dollars and {paid}.",
            "Order {order}: {quantity} {item} for {customer}, total {total} dollars. It {paid}.",
            "{customer} bought {quantity} {item} on {day}.", "Order {order} of {customer} {express} and {paid}.",
            "On {day} order {order} came in: {quantity} {item}.",
        ],
    ),
    (
        {
            "city": _CITIES_EN, "temperature": number(-15, 38), "humidity": number(20, 99), "wind": number(0, 80),
            "condition": word("sunny,cloudy,rainy,foggy,windy,snowy,stormy,clear"), "day": _DAYS_EN,
            "rain": flag("it rains", "it does not rain"),
        },
        [
            "In {city} it is {condition} and {temperature} degrees.",
            "On {day} it will be {condition} in {city} with {temperature} degrees.",
            "{city}: {temperature} degrees, humidity {humidity} percent, wind {wind} km/h.",
            "The weather in {city} is {condition}, the wind blows at {wind} km/h.",
            "It is {temperature} degrees in {city} and {rain}.",
            "On {day} the humidity in {city} is {humidity} percent.",
        ],
    ),
    (
        {
            "title": word("The Silent River,Night Train,Blue Garden,Seven Doors,The Last Map,Winter Song,A Small "
            "House,Dark Water,The Glass Tower,Paper Moon,Lost Letters,Stone Bridge"), "author": _NAME_EN, "year": _YEAR,
            "pages": number(80, 900), "genre": word("novel,mystery,fantasy,poetry,history,science,travel,romance"),
            "available": flag("is available", "is not available"),
        },
        [
            "\"{title}\" by {author} has {pages} pages.", "{author} wrote \"{title}\" in {year}.",
            "The {genre} book \"{title}\" was written by {author} in {year}.",
            "\"{title}\" has {pages} pages and {available}.",
            "The library has \"{title}\" ({year}) by {author}, genre {genre}, {pages} pages.",
        ],
    ),
    (
        {"city": _CITIES_EN, "country": _COUNTRIES_EN, "population": number(10, 30) ,
         "river": word("Rhine,Danube,Nile,Seine,Thames,Tiber,Vistula,Elbe,Tagus,Volga"),
         "capital": flag("is the capital", "is not the capital"), "founded": number(800, 1900)},
        [
            "{city} lies in {country} on the {river}.", "{city} in {country} was founded in {founded}.",
            "In our game {city} {capital} of {country} and has {population} million people.",
            "{city} has {population} million people and lies on the {river}.",
        ],
    ),
    (
        {"host": _host, "ip": _address, "port": _port, "cpu": number(1, 99), "memory": number(2, 128),
         "running": flag("is running", "is not running"),
         "region": word("eu-west,eu-north,us-east,us-west,ap-south,ap-east"),
         "os": word("Linux,Ubuntu,Debian,Windows,FreeBSD,Alpine")},
        [
            "The server {host} listens on port {port} and {running}.",
            "Server {host} with {memory} GB of memory runs {os}.", "{host} has the address {ip} and port {port}.",
            "{host} in region {region} uses {cpu} percent CPU and {running}.",
            "Host {host}, ip {ip}, os {os}, memory {memory} GB.",
            "The machine {host} in {region} {running}.",
        ],
    ),
    (
        {"event": word("concert,workshop,meeting,party,lecture,fair,conference,show,match,wedding,hackathon"),
         "city": _CITIES_EN, "day": _DAYS_EN, "time": _CLOCK, "guests": number(5, 500),
         "free": flag("is free", "is not free"), "organizer": _NAME_EN, "price": number(5, 90)},
        [
            "The {event} in {city} starts on {day} at {time}.",
            "{organizer} hosts a {event} on {day} for {guests} guests.",
            "A {event} takes place in {city} on {day} and {free}.",
            "The {event} begins at {time}, a ticket costs {price} dollars.",
            "{organizer} invites {guests} guests to a {event} in {city} at {time}.",
        ],
    ),
]  # fmt: skip

DOMAINS_ZH: list[tuple[dict[str, Field], list[str]]] = [
    (
        {
            "name": _NAME_ZH, "age": number(5, 90), "city": _CITIES_ZH,
            "hobby": word("下棋,打网球,画画,做饭,游泳,看书,爬山,骑车,唱歌,跳舞,钓鱼,种花"),
            "job": word("教师,护士,面包师,飞行员,律师,司机,农民,医生,歌手,画家,设计师,程序员,牙医,厨师"), "height": number(120, 205),
            "married": flag("已婚", "未婚"),
        },
        [
            "{name}今年{age}岁，住在{city}。", "{name}是一名{job}，来自{city}。", "{name}，{age}岁，在{city}当{job}。",
            "我的朋友{name}住在{city}，今年{age}岁，喜欢{hobby}。", "{name}{age}岁，身高{height}厘米，{married}。",
            "{city}的{job}{name}今年{age}岁。", "{name}喜欢{hobby}，今年{age}岁。",
            "{name}住在{city}，{married}。",
        ],
    ),
    (
        {"product": word("台灯,椅子,桌子,手机,电脑,键盘,鼠标,书包,外套,手表,相机,打印机,自行车,吉他,杯子,帐篷,水壶,显示器,音箱"), "price": price(2, 900),
         "color": word("红色,蓝色,绿色,黑色,白色,黄色,棕色,灰色,粉色,银色"), "weight": number(1, 50), "stock": number(0, 500),
         "in_stock": flag("有货", "没有货")},
        ["这款{product}的价格是{price}元，{in_stock}。", "{color}的{product}卖{price}元。",
         "这个{color}的{product}重{weight}千克，价格{price}元。", "{product}库存{stock}件，每件{price}元。",
         "这个{product}是{color}的，重{weight}千克，现在{in_stock}。", "商品：{product}，价格{price}元，颜色{color}，库存{stock}。"],
    ),
    (
        {"order": number(100, 9999), "customer": _NAME_ZH, "quantity": number(1, 60),
         "item": word("钢笔,图书,台灯,椅子,数据线,杯子,衬衫,鞋子,盘子,门票,灯泡,海报"), "total": price(5, 990), "paid": flag("已付款", "未付款"),
         "day": _DAYS_ZH},
        ["订单{order}：{customer}买了{quantity}件{item}。", "{customer}订购了{quantity}件{item}，共{total}元。",
         "订单{order}金额{total}元，{paid}。", "订单{order}，客户{customer}，{item}{quantity}件，总价{total}元，{paid}。",
         "{customer}在{day}买了{quantity}件{item}。"],
    ),
    (
        {"city": _CITIES_ZH, "temperature": number(-15, 38), "humidity": number(20, 99), "wind": number(0, 9),
         "condition": word("晴天,多云,阴天,小雨,大雨,有雾,下雪,雷雨"), "day": _DAYS_ZH},
        ["{city}今天{condition}，气温{temperature}度。", "{day}{city}{condition}，气温{temperature}度。",
         "{city}：气温{temperature}度，湿度{humidity}%，风力{wind}级。", "{city}{condition}，风力{wind}级。",
         "{day}{city}的湿度是{humidity}%。"],
    ),
    (
        {"title": word("寂静的河,夜行列车,蓝色花园,七扇门,最后的地图,冬日之歌,小屋,黑水,玻璃塔,纸月亮,石桥,远山"), "author": _NAME_ZH, "year": _YEAR,
         "pages": number(80, 900), "genre": word("小说,推理,奇幻,诗歌,历史,科学,游记,散文"), "available": flag("可以借", "不能借")},
        ["《{title}》的作者是{author}，共{pages}页。", "{author}在{year}年写了《{title}》。", "{genre}类图书《{title}》由{author}写于{year}年。",
         "《{title}》有{pages}页，现在{available}。"],
    ),
    (
        {"city": _CITIES_ZH, "country": _COUNTRIES_ZH, "population": number(10, 30),
         "language": word("汉语,英语,法语,德语,日语,韩语,西班牙语,泰语,俄语")},
        ["游戏里，{city}属于{country}，有{population}百万人。", "假设{city}在{country}，那里说{language}。",
         "游戏中的{city}有{population}百万人，说{language}。"],
    ),
    (
        {"host": _host, "ip": _address, "port": _port, "cpu": number(1, 99), "memory": number(2, 128),
         "running": flag("正在运行", "没有运行"), "os": word("Linux,Ubuntu,Debian,Windows,FreeBSD,Alpine")},
        ["服务器{host}监听端口{port}，{running}。", "服务器{host}有{memory}GB内存，系统是{os}。", "{host}的地址是{ip}，端口是{port}。",
         "{host}的CPU使用率是{cpu}%，{running}。", "主机{host}，地址{ip}，系统{os}，内存{memory}GB。"],
    ),
    (
        {"event": word("音乐会,讲座,会议,聚会,展览,比赛,婚礼,书展,研讨会,运动会"), "city": _CITIES_ZH, "day": _DAYS_ZH, "time": _CLOCK,
         "guests": number(5, 500), "free": flag("免费", "不免费"), "organizer": _NAME_ZH, "price": number(5, 90)},
        ["{city}的{event}{day}{time}开始。", "{organizer}{day}举办{event}，有{guests}位客人。", "{event}在{city}举行，时间是{day}，{free}。",
         "{event}{time}开始，门票{price}元。", "{organizer}邀请{guests}位客人参加{city}的{event}。"],
    ),
]  # fmt: skip

# Chinese names of the keys, for questions that ask for Chinese keys.
CHINESE_KEYS = {
    "name": "姓名", "age": "年龄", "city": "城市", "hobby": "爱好", "job": "职业", "height": "身高", "married": "已婚",
    "product": "商品", "price": "价格", "color": "颜色", "weight": "重量", "stock": "库存", "in_stock": "有货", "order": "订单号",
    "customer": "客户",
    "quantity": "数量", "item": "物品", "total": "总价", "paid": "已付款", "day": "日期", "temperature": "气温", "humidity": "湿度",
    "wind": "风力", "condition": "天气", "title": "书名", "author": "作者", "year": "年份", "pages": "页数", "genre": "类型",
    "available": "可借",
    "country": "国家", "population": "人口", "language": "语言", "host": "主机", "ip": "地址", "port": "端口", "cpu": "CPU",
    "memory": "内存", "running": "运行中", "os": "系统", "event": "活动", "organizer": "主办人", "time": "时间", "guests": "客人数",
    "free": "免费",
}  # fmt: skip

# Another name that a key may be given.
RENAMED = {
    "name": ("full_name", "who", "person", "label"), "age": ("years", "age_years"),
    "city": ("town", "place", "location"), "job": ("profession", "work", "role"),
    "price": ("cost", "amount", "unit_price"), "product": ("title", "article", "item_name"),
    "color": ("colour", "paint"), "customer": ("client", "buyer"), "quantity": ("count", "qty", "amount"),
    "item": ("thing", "goods"), "temperature": ("temp", "degrees"), "author": ("writer", "by"),
    "year": ("published", "since"), "pages": ("length", "page_count"),
    "host": ("server", "hostname", "machine"), "port": ("tcp_port", "listen"), "event": ("kind", "what"),
    "day": ("when", "weekday", "date"), "title": ("book", "name"), "country": ("nation", "state"),
    "order": ("id", "order_id"), "total": ("sum", "price"),
}  # fmt: skip
