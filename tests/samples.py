"""Small files of every type that can be uploaded, each one whole and valid."""

import io
import zipfile

from PIL import Image


def picture(form: str, size: tuple[int, int] = (8, 8), color: tuple[int, ...] = (200, 30, 30), **options: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGBA" if len(color) == 4 else "RGB", size, color).save(out, form, **options)
    return out.getvalue()


def archive(names: dict[str, bytes], comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.comment = comment
        for name, content in names.items():
            made.writestr(name, content)
    return out.getvalue()


PNG = picture("PNG")
JPEG = picture("JPEG")
GIF = picture("GIF")
WEBP = picture("WEBP")
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n\xe2\xe3\xcf\xd3\ntrailer<</Root 1 0 R>>\n%%EOF\n"
ZIP = archive({"a.txt": b"hello"})
XLSX = archive({"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>"})
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0\0\0\x08free" + bytes(range(256))
CSV = b"name,email\nAnn,ann@example.com\n"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

BY_TYPE = {
    "image/png": PNG,
    "image/jpeg": JPEG,
    "image/gif": GIF,
    "image/webp": WEBP,
    "application/pdf": PDF,
    "application/zip": ZIP,
    XLSX_TYPE: XLSX,
    "video/mp4": MP4,
    "text/csv": CSV,
    "application/json": b'{"a": [1, 2]}',
    "application/x-ndjson": b'{"a": 1}\n{"a": 2}\n',
    "text/plain": "Grüße\n".encode(),
}
