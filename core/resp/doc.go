// Package resp reads and writes RESP, the Redis serialization protocol, in its
// versions 2 and 3. It owns the bytes and nothing else: no sockets, no command
// names, no policy.
//
//   - [Parser] cuts commands out of a buffer, without allocating and without
//     looking twice at bytes it has already seen;
//   - [Reader] cuts them out of a stream, such as a file of commands;
//   - [Writer] appends replies to a buffer;
//   - [AppendCommand] writes a command the way a client (and the log) does;
//   - [ReadReply] decodes a reply, for clients and tests.
//
// A command, as clients send it and as the log keeps it:
//
//	*3\r\n           number of arguments
//	$3\r\nSET\r\n    length, bytes
//	$1\r\nk\r\n
//	$1\r\nv\r\n
//
// or inline, one line of words with Redis's quoting:
//
//	SET k "v\x00"\r\n
//
// Replies are introduced by one byte:
//
//   - simple string   - error          : integer      $ bulk string   * array
//     _ null            # boolean        , double       ( big number    = verbatim
//     % map             ~ set            > push         ! bulk error    | attribute   (RESP3)
//
// It refuses what Redis refuses, with Redis's words; lengths that a peer merely
// claims never size an allocation.
package resp
