"""PDFium, one caller at a time. Among threads it returns empty text without a word, or ends the process.

Its functions are called as they are, by pypdfium2_raw: the objects of pypdfium2 are closed by the garbage collector,
in whatever thread that happens to run.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import threading
import weakref
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from mmsearch.reading.reader import UnreadableFile

if TYPE_CHECKING:
    from PIL.Image import Image

# Reentrant, for the garbage collector may close a document in the very thread that is about to open another.
_alone = threading.RLock()
# The thread that is calling PDFium, and the documents that were collected in it meanwhile.
_caller: list[int] = []
_left: list[_Handles] = []
_REASONS = {4: "encrypted", 5: "encrypted"}
# Forms lie in forms; pictures that lie deeper are not looked for.
_DEEPEST_FORM = 5
# A picture of a page is no longer than so many times its short side.
_LONGEST = 8
_WHITE = 0xFFFFFFFF
_MOST_ANNOTATIONS = 1_000


class _Handles(NamedTuple):
    """What is to be closed of a document, and what has to live until then."""

    document: Any
    forms: Any
    kept: tuple[Any, ...]


class Pictures(NamedTuple):
    """The pictures that a page shows: the share of it that they cover, and how many pixels the largest has."""

    share: float
    largest: int


@functools.cache
def _library() -> Any:
    import pypdfium2_raw

    pypdfium2_raw.FPDF_InitLibraryWithConfig(pypdfium2_raw.FPDF_LIBRARY_CONFIG(version=2))
    return pypdfium2_raw


@contextlib.contextmanager
def _calling() -> Iterator[Any]:
    """The library, for one thread at a time."""
    with _alone:
        pdfium = _library()
        _caller.append(threading.get_ident())
        try:
            yield pdfium
        finally:
            _caller.pop()
            while _left:
                _close(pdfium, _left.pop())


def _release(handles: _Handles) -> None:
    """Closes a document: at once, or, where this thread is within PDFium as it is collected, when it has come out."""
    if threading.get_ident() in _caller:
        _left.append(handles)
        return
    with _calling() as pdfium:
        _close(pdfium, handles)


def _close(pdfium: Any, handles: _Handles) -> None:
    if handles.forms:
        pdfium.FPDFDOC_ExitFormFillEnvironment(handles.forms)
    pdfium.FPDF_CloseDocument(handles.document)


class PdfDocument:
    """An open PDF. Any thread may use it, one at a time gets on. It is closed with `close`, or once nobody has it.

    Raises UnreadableFile: it is encrypted, or cannot be opened.
    """

    def __init__(self, stream: IO[bytes], size: int) -> None:
        with _calling() as pdfium:
            document, kept = _opened(pdfium, stream, size)
            if not document:
                raise UnreadableFile(_REASONS.get(pdfium.FPDF_GetLastError(), "damaged PDF"))
            forms = None
            if pdfium.FPDF_GetFormType(document) != pdfium.FORMTYPE_NONE:
                filling = pdfium.FPDF_FORMFILLINFO(version=2)
                kept = (*kept, filling)
                forms = pdfium.FPDFDOC_InitFormFillEnvironment(document, filling)
            handles = _Handles(document, forms, kept)
            self._closing = weakref.finalize(self, _release, handles)
            self._closing.atexit = False
            self._handles = handles
            self.pages: int = pdfium.FPDF_GetPageCount(document)
            self.is_rebuilt = not pdfium.FPDF_DocumentHasValidCrossReferenceTable(document)
            self.is_encrypted = pdfium.FPDF_GetSecurityHandlerRevision(document) >= 0

    def close(self) -> None:
        self._closing()

    @contextlib.contextmanager
    def page(self, number: int) -> Iterator[PdfPage | None]:
        """The page, from 1 on, or None where it is damaged; until the block ends, PDFium is this thread's alone."""
        with _calling() as pdfium:
            page = self._loaded(pdfium, number - 1)
            if page is None:
                yield None
                return
            try:
                yield PdfPage(pdfium, page)
            finally:
                pdfium.FPDF_ClosePage(page)

    def alone(self, number: int) -> IO[bytes]:
        """A PDF of that page and what it shows, packed as it is here, and not encrypted."""
        from ctypes import byref, c_int, string_at

        kept = io.BytesIO()
        with _calling() as pdfium:
            document = pdfium.FPDF_CreateNewDocument()
            try:
                pdfium.FPDF_ImportPagesByIndex(document, self._handles.document, (c_int * 1)(number - 1), 1, 0)

                def write(_: object, data: Any, size: int) -> int:
                    kept.write(string_at(data, size))
                    return 1

                writing = pdfium.FPDF_FILEWRITE(version=1)
                writing.WriteBlock = type(writing.WriteBlock)(write)
                pdfium.FPDF_SaveAsCopy(document, byref(writing), 0)
            finally:
                pdfium.FPDF_CloseDocument(document)
        return kept

    def _loaded(self, pdfium: Any, index: int) -> Any | None:
        """The page, with what was filled in or written on it made a part of it."""
        document, forms, _ = self._handles
        page = pdfium.FPDF_LoadPage(document, index)
        if not page or not _has_writing(pdfium, page):
            return page or None
        if forms:
            pdfium.FORM_OnAfterLoadPage(page, forms)
        pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY)
        if forms:
            pdfium.FORM_OnBeforeClosePage(page, forms)
        pdfium.FPDF_ClosePage(page)
        return pdfium.FPDF_LoadPage(document, index) or None


class PdfPage:
    """A page, within the block of `PdfDocument.page`."""

    def __init__(self, pdfium: Any, page: Any) -> None:
        self._pdfium = pdfium
        self._page = page
        box = pdfium.FS_RECTF()
        pdfium.FPDF_GetPageBoundingBox(page, box)
        self._box = (box.left, box.top, box.right, box.bottom)

    def text(self) -> str:
        """The words on the page, as PDFium gives them: without those that lie beyond its edge."""
        from ctypes import c_ushort

        pdfium = self._pdfium
        words = pdfium.FPDFText_LoadPage(self._page)
        if not words:
            return ""
        try:
            count = pdfium.FPDFText_GetBoundedText(words, *self._box, None, 0)
            if count <= 0:
                return ""
            buffer = (c_ushort * count)()
            count = pdfium.FPDFText_GetBoundedText(words, *self._box, buffer, count)
            return memoryview(buffer).cast("B")[: 2 * max(0, count)].tobytes().decode("utf-16-le", "replace")
        finally:
            pdfium.FPDFText_ClosePage(words)

    def pictures(self, most: int) -> Pictures:
        """What is known of its pictures without decoding one, from its first `most` objects."""
        left, top, right, bottom = self._box
        area = abs((right - left) * (top - bottom))
        covered, largest = 0.0, 0
        for pixels, size, _ in self._pictures(most):
            largest = max(largest, pixels)
            covered += min(size / area, 1.0) if area else 0.0
        return Pictures(min(covered, 1.0), largest)

    def has_damaged_picture(self, most: int) -> bool:
        """Whether one of its pictures cannot be decoded, of its first `most` objects."""
        return any(_is_damaged(self._pdfium, found) for _, _, found in self._pictures(most))

    def _pictures(self, most: int) -> Iterator[tuple[int, float, Any]]:
        """For each picture its number of pixels, how large it is shown, in square points, and the object itself."""
        from ctypes import c_uint

        pdfium = self._pdfium
        waiting = [(pdfium.FPDFPage_GetObject, self._page, pdfium.FPDFPage_CountObjects(self._page), 1.0, 0)]
        while waiting and most > 0:
            get, container, count, scale, depth = waiting.pop()
            for index in range(min(count, most)):
                most -= 1
                found = get(container, index)
                kind = pdfium.FPDFPageObj_GetType(found)
                if kind not in (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_FORM):
                    continue
                size = scale * _stretch(pdfium, found)
                if kind == pdfium.FPDF_PAGEOBJ_FORM:
                    if depth < _DEEPEST_FORM:
                        inside = pdfium.FPDFFormObj_CountObjects(found)
                        waiting.append((pdfium.FPDFFormObj_GetObject, found, inside, size, depth + 1))
                    continue
                width, height = c_uint(), c_uint()
                pdfium.FPDFImageObj_GetImagePixelSize(found, width, height)
                yield width.value * height.value, size, found

    def picture(self, side: int) -> Image | None:
        """The page on white paper, RGB, its short side of `side` pixels; of a long strip less.

        None where it has no size.
        """
        from ctypes import c_ubyte

        from PIL import Image

        pdfium = self._pdfium
        width, height = pdfium.FPDF_GetPageWidthF(self._page), pdfium.FPDF_GetPageHeightF(self._page)
        short, long = min(width, height), max(width, height)
        if not (short > 0 and math.isfinite(long)):
            return None
        scale = min(side / short, _LONGEST * side / long)
        across, down = max(1, round(width * scale)), max(1, round(height * scale))
        buffer = (c_ubyte * (3 * across * down))()
        bitmap = pdfium.FPDFBitmap_CreateEx(across, down, pdfium.FPDFBitmap_BGR, buffer, 3 * across)
        if not bitmap:
            return None
        try:
            pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, across, down, _WHITE)
            flags = pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER | pdfium.FPDF_RENDER_LIMITEDIMAGECACHE
            pdfium.FPDF_RenderPageBitmap(bitmap, self._page, 0, 0, across, down, 0, flags)
        finally:
            pdfium.FPDFBitmap_Destroy(bitmap)
        return Image.frombytes("RGB", (across, down), bytes(buffer))


def _opened(pdfium: Any, stream: IO[bytes], size: int) -> tuple[Any, tuple[Any, ...]]:
    """The document, and what it is read from: the bytes in memory, or the file that was hashed, as it is asked for."""
    if isinstance(stream, io.BytesIO):
        data = stream.getvalue()
        return pdfium.FPDF_LoadMemDocument64(data, len(data), None), (data,)
    from ctypes import memmove

    def read(_: object, position: int, buffer: Any, count: int) -> int:
        try:
            stream.seek(position)
            data = stream.read(count)
        except (OSError, ValueError):  # ValueError: it was closed
            return 0
        memmove(buffer, data, len(data))
        return int(len(data) == count)

    access = pdfium.FPDF_FILEACCESS(m_FileLen=size)
    access.m_GetBlock = type(access.m_GetBlock)(read)
    return pdfium.FPDF_LoadCustomDocument(access, None), (access,)


def _has_writing(pdfium: Any, page: Any) -> bool:
    """Whether there is on the page what was filled in, written on it or stamped."""
    kinds = (pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_STAMP)
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(page), _MOST_ANNOTATIONS)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if annotation:
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            pdfium.FPDFPage_CloseAnnot(annotation)
            if kind in kinds:
                return True
    return False


def _is_damaged(pdfium: Any, picture: Any) -> bool:
    """Whether a picture cannot be decoded. Of a JPEG that is not told: PDFium makes it grey."""
    from ctypes import create_string_buffer

    bitmap = pdfium.FPDFImageObj_GetBitmap(picture)
    if not bitmap:
        return True
    pdfium.FPDFBitmap_Destroy(bitmap)
    name = create_string_buffer(16)
    pdfium.FPDFImageObj_GetImageFilter(picture, 0, name, len(name))
    if name.value != b"DCTDecode":
        return False
    from PIL import Image

    data = create_string_buffer(pdfium.FPDFImageObj_GetImageDataRaw(picture, None, 0))
    pdfium.FPDFImageObj_GetImageDataRaw(picture, data, len(data))
    try:
        with Image.open(io.BytesIO(data.raw)) as opened:
            opened.load()
    except Exception:  # whatever its decoder says of damage
        return True
    return False


def _stretch(pdfium: Any, found: Any) -> float:
    """How many times as large an object is shown in what it lies in, by area."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(found, matrix)
    stretch = abs(matrix.a * matrix.d - matrix.b * matrix.c)
    return stretch if math.isfinite(stretch) else 0.0
