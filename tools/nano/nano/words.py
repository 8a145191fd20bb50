"""Common English words for the tasks that spell or sort, and which of them are never spelled in training."""

from zlib import crc32

# Regular nouns: the plural is made by adding an s.
_NOUNS = """
animal ant ape apple apron area arm arrow artist atom author badge bag ball balloon banana banana band bank bar barn
basket bat bath battery beam bean bear beard bed bee beetle bell belt berry bike bill bird blanket block board boat
body bolt bone book boot bottle bottom bowl boy brain brand bread breeze brick bridge broom brother bucket bug bulb
bull butter button cable cactus cake calendar camel camera candle car card carpet carrot cart castle cat cave cell
center chain chair chance channel chapter chart cheese cherry chicken child chimney chin circle circus city class
clock cloth cloud clown coach coast coat code coin color column comet computer cone cookie copper corner cotton
couch counter country cousin cover cow crab cream creek crow crown cucumber cup curtain cushion dancer daughter day
deer desert desk dinner dirt doctor dog dollar dolphin donkey door dragon drawer dream dress drink driver drop drum
duck eagle ear earth egg elbow elephant engine error event eye face factory family farm farmer father feather fence
field film finger fire fish flag flame flavor floor flower fog foot forest fork fountain fox frame friend frog fruit
function garage garden garlic gate gift giraffe girl glass glove goat gold goose grape grass guest guitar hair
hammer hand harbor hat hawk head heart helmet hen hill hole honey hook horse hospital hotel hour house human ice idea
insect island jacket jaguar jam jar jewel joke judge juice jungle kangaroo kettle key keyboard king kitchen kite
kitten knee knife koala ladder lady lake lamp language laptop leaf leg lemon lesson letter level library light line
lion lizard loaf lock machine magnet mango map maple marble market mask match meadow meal melon memory metal meter
milk mill minute mirror mission model moment money monkey month moon morning mother motor mountain mouse mouth muffin
museum mushroom music nail name napkin neck needle nest network night noise nose notebook number nurse nut ocean
office olive onion orange orbit oven owl page paint palace pan panda paper parent parrot party pasta path peach peanut
pear pebble pen pencil penguin people pepper person phone piano picture pie pigeon pillow pilot pine pipe pirate pizza
place planet plant plate pocket poem point pond pony potato prince printer problem program pumpkin puppy puzzle queen
question rabbit radio rain raspberry raven recipe record result ribbon rice ring river road robot rock rocket roof
room rope rose sailor salad salmon salt sand sandwich scarf school science scissors screen sea season second seed
server shadow shark sheep shelf ship shirt shoe shop shoulder shower signal silver singer sister skill skirt sky
snail snake snow soap sock soldier song soup space spider spinach spoon spring square squirrel stair stamp star
station stone store storm story strawberry street string student sugar summer sun sweater table tail tea teacher team
temple tent theater thing thunder ticket tiger time toast tomato tool tooth towel tower town toy track tractor train
tree triangle truck trumpet tunnel turkey turtle umbrella uncle valley vase vegetable village violin voice volcano
wagon wall wallet water wave weather week whale wheel whistle wind window wing winter wolf woman wood word world worm
writer yard year yogurt zebra zipper blueberry blackberry cranberry pineapple avocado coconut chocolate cinnamon
mississippi committee address coffee balance bookkeeper possess success pepperoni broccoli parallel banana assassin
accommodation mathematics engineer developer compiler database variable javascript python keyboard terminal browser
""".split()

# Regular verbs: the forms in -ed, -er and -ing are made by adding the ending.
_VERBS = """
add answer ask belong blend boil borrow bow call camp check clean clear climb collect comb connect cook correct count
cover crack crash deliver design destroy discover draw dream drown dust earn end enter explain fail fear fill fix
float flow follow gather grow guess hand happen head heal hear help hunt invent iron join jump kick kill knock know
land last laugh launch lean learn lend lift light listen load look march mark melt mend mix mount offer open order
own pack paint park pass pay plant play point pour press print protect pull push rain reach read record remember
repeat report rest return roll row rush scream search seem select show sign sing sleep smell snow sort sound speak
spell spend stand start stay stretch suffer talk taste teach test thank think touch train travel treat turn twist
visit wait walk want warm wash watch water weigh whisper wish wonder work yell compress filter render install
""".split()

_OTHERS = """
able about above across active after afternoon again against age ago agree ahead air all almost alone along already
also always amazing among amount ancient and angry another any apart around away awful awake baby back bad bake basic
beautiful because become before begin behind believe below beneath best better between beyond big bitter black blue
bold both brave bright brief broad broken brown busy but buy calm careful carry catch cause certain change cheap
choose clever close cold come common complete cool could crazy create cruel curious current daily damage dance danger
dark dead deal dear decide deep delicious describe different difficult divide double down dozen drive dry during each
eager early easy eat eight either electric eleven else empty enjoy enough equal especially even evening every exact
example excellent excuse expect expensive extra faint fair false famous far fast favorite feed feel few fierce fifteen
fifty final find fine first five flat fly force forever forget forty four free fresh friendly from front full funny
gentle get giant give glad go good grand gray great green happily happy hard harmless healthy heavy hello hidden high
hold hollow honest hope horrible hot huge hundred hungry hurry imagine important impossible include inside instead
interesting into itself just keep kind large larger largest late lazy leave left less let little live long loose lose
loud love lovely low lucky magic many maybe mean measure middle million minus modern more most move much multiply must
narrow natural near necessary never new next nice nine ninety nobody none normal north nothing notice now often old
once only other our out outside over pale perfect perhaps pick pink plain pleasant please plus polite poor popular
possible power practice prepare pretty probably promise proud public purple put quick quickly quiet quite rapid rare
ready real really reason receive red refuse remain remove replace reverse rich ride right ripe rise rough round royal
run sad safe same save say secret see sell send separate serious seven seventy several shake shallow shape share sharp
shine shiny short should shout shut shy sick side silent silly simple since single sit six sixty size slow small
smaller smallest smart smile smooth soft some soon sorry sour south special split stop strange strong such sudden
sure surprise sweet swim swing take tall ten tender terrible than that their them then there these they thick thin
third thirsty thirteen thirty this those thousand three through throw tidy tight tiny tired today together tomorrow
tonight total tough toward true trust try twelve twenty twice two ugly under until upon upper use usual very violet
wake warm weak wear welcome well west wet what when where which while white who whole why wide wild will win wise
with without wooden worry worse worst would wrong yellow yes yesterday yet young zero
monday tuesday wednesday thursday friday saturday sunday january february march april june july august september
october november december hours minutes seconds weeks months years kilometer centimeter kilogram gram liter commit
""".split()

# Forms that the rules below would get wrong.
_IRREGULAR = frozenset(
    "deers sheeps womans foots tooths childs moneys payed speaked teached lighted thinked knowed payed".split()
)


def _all_words() -> dict[str, str]:
    """Each word with the base form that it is made from."""
    bases = {word: word for word in (*_NOUNS, *_VERBS, *_OTHERS)}
    for noun in _NOUNS[::2]:
        if noun[-1] not in "sxyhfe" and len(noun) < 9:
            bases.setdefault(noun + "s", noun)
    for verb in _VERBS:
        if verb[-1] != "e":
            bases.setdefault(verb + "ing", verb)
    for verb in _VERBS[::2]:
        if verb[-1] not in "ewdgr" and verb[-2:] != "nd":
            bases.setdefault(verb + "ed", verb)
    return {word: base for word, base in bases.items() if word not in _IRREGULAR}


def _is_unseen(base: str) -> bool:
    return len(base) > 2 and base not in _ALWAYS_SEEN and crc32(base.encode()) % 20 < 3


_ALWAYS_SEEN = frozenset(("strawberry", "raspberry", "banana", "blueberry", "mississippi", "hello", "apple"))
_BASES = _all_words()
WORDS = tuple(_BASES)
# About 15 % of the words, the same ones for ever: the checksum of the base form decides, so that all forms of a word
# are on the same side.
UNSEEN = tuple(word for word, base in _BASES.items() if _is_unseen(base))
SEEN = tuple(word for word, base in _BASES.items() if not _is_unseen(base))
