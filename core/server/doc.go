// Package server puts an engine on the network: listeners, connections and the
// registry of clients.
//
// What has arrived at a connection is read, every complete command of it is run as
// one batch in its core.Session, Session.Finish makes the batch durable, and all
// replies are written at once:
//
//	read → parse* → Session.Run* → Session.Finish → write
//
// On Linux an event loop does so for many connections at once (Options.EventLoops), and the
// buffers are its own; see loop_linux.go. With TLS, and elsewhere, a connection is one goroutine
// and two buffers.
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
