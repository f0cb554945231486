// Package stream carries the bytes of one call between the host and a plugin:
// a Unix socket that is opened for that call alone, with a one-time token, and
// a framing in which an early end is never a success.
//
//	plugin → host, once:   "SPILLWY1" token(32)
//
//	then, each direction by itself, frames:
//
//	+------+----------------+-----------------+
//	| kind | length         | payload         |
//	| 1 B  | 4 B big endian | length bytes    |
//	+------+----------------+-----------------+
//
//	kind 0, data    1 B to 1 MiB of the stream
//	kind 1, seal    12 B: how many bytes there were (8 B big endian) and their
//	                CRC-32 (IEEE, 4 B big endian); nothing follows
//	kind 2, abort   at most 4 KiB of text: why there will be no more
//
// A reader meets io.EOF only after a seal whose totals are those of the bytes
// it has read. The connection's end before that is ErrCut, an abort is an
// *AbortError, anything the format does not have is ErrFormat.
//
// The socket lies in a directory that only the host's user can enter; the host
// listens, lets in the first who knows the token and removes the socket.
//
// It refuses to know what the bytes are, and has no deadlines of its own:
// closing the connection, from any goroutine, ends every call on it.
package stream
