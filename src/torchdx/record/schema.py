r"""What a record is on disk.

A record is one file a rank: a header of 16 bytes and then frames, appended and never changed.

header  `torchdx\0` (8 bytes), schema number (uint16), zeros (6 bytes); little-endian
frame   `dx` (2 bytes), kind (uint8), zero (uint8), sequence number (uint32), payload length
        (uint32), crc-32 of all before it in the frame header and of the payload (uint32), payload

Kind 1 holds a UTF-8 JSON list of *entries*, each an object whose `e` names its type
(`docs/record-format.md` lists them). A reader skips kinds and entry types that it does not know,
so that a new type does not need a new schema; the number rises when an old entry changes meaning.
"""

import struct

MAGIC = b"torchdx\x00"
SCHEMA = 1  # the newest schema that this torchdx writes and reads
HEADER = struct.Struct("<8sH6x")
FRAME_MAGIC = b"dx"
FRAME = struct.Struct("<2sBxIII")
JSON_KIND = 1
SUFFIX = ".dx"
