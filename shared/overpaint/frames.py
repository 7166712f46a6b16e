"""A frame as the content of one file: as on the wire, so that its digest proves it."""

from __future__ import annotations

from overpaint import codec, wire
from overpaint.chunks import Chunk
from overpaint.codec import EncodedFrame, Limits
from overpaint.errors import Corrupt
from overpaint.residual import Pixels
from overpaint.v1 import frames_pb2


def pack_frame(frame: Pixels, digest: str | None = None) -> tuple[str, bytes]:
    """The digest of a frame ("h w c", uint8 or uint16), and the bytes that keep it; `digest` where it is proven already."""
    encoded = codec.encode(frame, name=digest)
    chunk = Chunk(number=0, header=encoded.header, payload=encoded.payload)
    return encoded.header.digest, wire.chunk_to_wire(chunk).SerializeToString()


def unpack_frame(body: bytes, digest: str) -> Pixels:
    """The frame, "h w c", or "h w" where it has one channel. Raises Corrupt where the bytes are not those of `digest`."""
    try:
        chunk = wire.chunk_from_wire(frames_pb2.FrameChunk.FromString(body))
        if chunk.header is None or chunk.header.digest != digest:
            raise ValueError("the file is another frame's")
        return codec.decode(EncodedFrame(header=chunk.header, payload=chunk.payload), Limits())
    except Exception as error:  # whatever a damaged file makes of itself, it must not be taken for pixels
        raise Corrupt(
            field="frames", message=f"the frame {digest[:12]} was damaged on disk", remedy="Submit the job again"
        ) from error
