// Package host starts plugins as processes, supervises them, and gives the
// engine their stages and sinks as sink.Stage and sink.Sink.
//
//	Host ── Plugin ── process ── runner         the operating system's side
//	                     │  └─── go-plugin       handshake, gRPC, mutual TLS
//	                     └────── output          stderr and stdout, into the log
//	        stageClient, sinkClient              what the engine sees
//
// A Plugin outlives its processes: a start happens at the first use or when it
// is asked for, a process that ended is replaced at the next use, after a
// backoff that grows with every failure in a row.
//
// # What it holds to
//
//   - A plugin's program is started only if its SHA-256 is the pinned one,
//     which is checked at every start, or if the operator said insecure. What is
//     run is the open file that was read, or a copy of it in a private directory
//     where the system cannot run an open file; never the path once more.
//   - A program, and a directory on the way to it, that other users can write to
//     or own is refused.
//   - A plugin sees the environment it was given, and none of the host's.
//   - A call ends when the plugin says so, when its context does, or when the
//     process does; never because of an early end of the bytes. What the plugin
//     says it has read and written must be what was sent and received.
//   - A call that was cancelled is over when it returns: a plugin that goes on
//     with it is killed.
//   - No process outlives the host, and none that the plugin started in its
//     process group outlives the plugin.
//   - An error names the plugin and what it did.
//   - Whatever a plugin writes to stdout and stderr is parsed here, within
//     bounds of line length, lines and bytes per second.
//
// # What it refuses
//
// It has no deadlines for calls that carry bytes and retries nothing: that is
// plugins/middleware, the same for plugins and for what is built in. It does
// not know configuration files.
package host
