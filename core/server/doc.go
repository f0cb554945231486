// Package server puts an engine on the network: listeners, connections and the
// registry of clients.
//
// A connection is one goroutine and two buffers. It reads what has arrived,
// runs every complete command of it as one batch in its core.Session, lets
// Session.Finish make the batch durable, and writes all replies at once:
//
//	read → parse* → Session.Run* → Session.Finish → write
//
// With Options.EventLoops a loop does so for many connections at once, and the
// buffers are its own; see loop_linux.go.
//
// What leaves goes through the connection's mailbox, into which any goroutine may
// put a message for the client beside its replies.
//
// The package knows no command: CLIENT, HELLO and their like are in
// core/command and see a connection as a command.Client. It never touches the
// keyspace, the log or a checkpoint.
//
// What a client can make it allocate is bounded by what the client has really
// sent: a request that announces 512 MB and sends ten bytes costs one read
// buffer.
package server
