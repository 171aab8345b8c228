"""Words that carry nothing by which a photo is found, and adjectives, which some languages put behind the noun.

The first tell a language too. They are written as they are compared: without accents.
"""

from __future__ import annotations


def _words(written: str) -> frozenset[str]:
    return frozenset(written.split())


# Articles, pronouns, auxiliaries, conjunctions, and words around the subject ("photo of" is taken off elsewhere).
CARRY_NOTHING = {
    "de": "der die das den dem des ein eine einen einem einer eines und ist sind war wird werden hat haben sich er sie "
    "es von vom wir ihr ihre ihren ihrem ihrer sein seine seinen seinem seiner wie da dort hier gerade als auch sehr "
    "noch zu",
    "fr": "le la les l un une des de du d et est sont a ont qui que qu se s il elle ils elles son sa ses leur leurs ce "
    "cette ces c y tres en train",
    "es": "el la los las un una unos unas de del y e o es son esta estan que se su sus lo al muy este esta ese esa hay",
    "it": "il lo la i gli le l un uno una di del dello della dei degli delle d e ed o che si suo sua suoi sue loro sta "
    "stanno molto questo questa c",
    "pt": "o a os as um uma uns umas de do da dos das e ou que se seu sua seus suas esta estao sao muito este esta",
    "nl": "de het een en is zijn van die dat wie er zich haar hun ze hij t n aan te wordt worden heel dit deze om",
    "sv": "en ett den det de och ar som sig sin sina sitt hans hennes att har blir mycket denna detta av",
    "pl": "i a oraz jest sa ktory ktora ktore sie jego jej ich to ten ta bardzo do o z ze",
    "cs": "a i je jsou ktery ktera ktere se si jeho jeji jejich to ten ta velmi z ze do o",
    "tr": "bir ve ile bu su o da de mi cok olan icin ki",
    "ru": "и а или это этот эта который которая которые которое его ее их свои своим своей очень же бы как с со о об",
    "uk": "і и й та а або це цей ця який яка яке які його її їх свої своїм своїх дуже ж би як з зі із о об",
    "zh": "的 了 着 在 和 与 是 有 被 把 个 只 条 张 位 名 群 双 地 得 着的 正在 们 照片 里 上 下 给 中 将 对",
    "ja": "の が を に は へ で と も や な だ た て から まで する した して している です ます いる ある いた "
    "こと よう その この あの",
    "ko": "있는 있다 하는 한 하고 그 이 저 및 또는 그리고 하기 된 되는 들",
}

# Words that English alone has at every turn: what stands beside them is English.
OF_ENGLISH = _words("the an of on at with and by from is are my his her their its to for near under behind two no")

# That a language has these letters and the others of its script have not, or hardly.
LETTERS = {
    "de": "ß",
    "fr": "êœîû",
    "es": "ñ¿¡",
    "pt": "ãõ",
    "sv": "å",
    "pl": "łąęśźż",
    "cs": "řůě",
    "tr": "ğış",
    "ru": "ыэъё",
    "uk": "іїєґ",
    "zh": "的们这个车门鸟马鱼东书买云儿关兴写军农华单卖厅厨发叶后园国图圆场墙声处头"
    "夹妈孙学宝实对尔层岁岛师带帮广庆应张录忆怀户执扫护报",
    "ja": "々桜駅図売変気広辺竜歩渋沢浜涙焼畑峠込辻枠働",
}

# What joins the two words of a compound, in the languages that write these as one, and what the first one loses.
JOINING = {"de": ("", "s", "es", "n", "en", "e", "er"), "nl": ("", "s", "en", "e"), "sv": ("", "s")}
LOST_IN_COMPOUNDS = {"de": "e", "sv": "a"}

# Korean words end with these, of which the longest is taken off.
KOREAN_ENDINGS = sorted(
    _words(
        "에서는 에서 에게 으로 까지 부터 이랑 처럼 하는 하고 하기 하며 들의 들이 들을 들과 들 은 는 이 가 을 를 의 에 "
        "와 과 랑 로 도 위 속 옆 앞 뒤 안 한"
    ),
    key=lambda ending: (-len(ending), ending),
)

ADJECTIVES = _words(
    "white black red blue green yellow orange pink purple brown grey gray golden gold silver beige turquoise violet "
    "lilac maroon colourful colorful colored coloured bright dark pale light big large small little tiny huge giant "
    "tall short long wide narrow high low deep shallow thin thick fat slim round square oval flat steep curved "
    "straight old new young ancient modern vintage antique retro rustic elderly aged broken abandoned ruined empty "
    "full busy crowded packed quiet lonely messy cluttered tidy clean dirty muddy dusty wet dry rainy snowy sunny "
    "cloudy foggy misty stormy windy icy frozen cold hot warm cool hazy clear starry sandy rocky grassy wooden "
    "metal stone concrete plastic leather glass happy sad angry funny cute sleepy tired sleeping playful wild "
    "beautiful pretty elegant luxury formal casual traditional striped spotted dotted checked checkered floral "
    "plaid patterned curly blond blonde bald bearded naked barefoot open closed fresh fried grilled baked sweet "
    "homemade ripe leafy bare dense tropical urban rural medieval historic religious military foreign double single "
    "left right american english french german italian spanish chinese japanese asian african indian mexican "
    "british"
)

# Of these the best guess is enough: what else a word for a place may mean is no other picture.
PLACES = _words(
    "with on in at under over behind between inside outside during without no not by from to of for above below "
    "beneath beside near next into onto against around along across through toward upon within among about up down off "
    "after before while as like and or my our his her their using including via"
) | {"next to", "in front of", "on top of"}
