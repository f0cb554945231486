#!/usr/bin/python3
"""A plugin for Spillway with one stage, xz. See README.md."""

import lzma

from spillway_plugin import Corrupt, serve


class Xz:
    """Compresses parts; `xz -d` undoes it. It is used by several threads."""

    version, suffix = "1", ".xz"

    def __init__(self, preset=1):  # what plugins.hcl may give the stage
        if preset not in range(10):
            raise ValueError("preset wants a number from 0 to 9")
        self.preset = preset

    def encode(self, stream):
        xz = lzma.LZMACompressor(preset=self.preset)
        while data := stream.read():  # to the sealed end: nothing else is a success
            stream.write(xz.compress(data))
        stream.write(xz.flush())

    def decode(self, stream):
        xz = lzma.LZMADecompressor()
        try:
            while data := stream.read():
                if xz.eof:
                    raise Corrupt("there is more behind the end of the compressed bytes")
                stream.write(xz.decompress(data, 1 << 20))
                while not (xz.needs_input or xz.eof):
                    stream.write(xz.decompress(b"", 1 << 20))
        except lzma.LZMAError as err:
            raise Corrupt(str(err)) from err
        if not xz.eof or xz.unused_data:
            raise Corrupt("the compressed bytes are incomplete, or followed by others")


if __name__ == "__main__":
    serve({"xz": Xz})
