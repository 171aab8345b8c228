"""Words that say nothing by themselves, of the languages that many libraries are named in, as `store.words` makes them.

What means a thing in another of these languages (`van`, `war`, `son`, `fur`) is not among them.
"""

from __future__ import annotations

_WORDS = """
a about after all am an and any are as at be been but by can did do does for from had has have he her here him his how i
if in into is it its me my no nor not of off on or our out over she so some such than that the their them then there
these they this those to up us was we were what when where which who why will with without you your
s t d ll m re ve don
als auf aus bei bin da das dass dem den der des du ein eine einem einen einer eines er es im ist ich ihr mein meine mit
nach nicht oder ohne sich sie sind um und uns vom von vor wie wir zu zum zur
au aux avec ce ces cette dans de elle en est et il ils je la le les leur ma mes mon ne nous ou par pas pour qui que sa
sans se ses sont sur un une vous
al cual del donde el ella esta este las lo los mi mis muy para pero por su sus una unas unos y yo
alla allo che chi dal dei della delle di e gli ho io nel nella non per piu sono sul sulla uno
ao aos com das dos ela ele em eu meu minha na nas nos o os pelo sem seu sua um uma
aan bij dat deze dit een het hij ik je maar met mijn niet om ook op te tot uit voor wat ze zijn
att av det ett har inte jag med och som till var
jest nie od po sie w z za
в во и из к на не о об от по с со у что это я
"""
FUNCTION_WORDS = frozenset(_WORDS.split())
# What is said of a picture beside what it shows: looked for where nothing else is.
BESIDE_THE_POINT = frozenset(("photo", "photos", "picture", "pictures", "image", "images", "foto", "fotos", "bild"))
