// Package hooks tells other programs how a daemon's jobs have ended: it posts JSON to a
// URL, as those that watch for pings take it, or runs a command.
//
// Whoever tells never waits: each hook has a short queue of its own, and a goroutine. What
// does not fit is dropped and counted. A URL is asked again, after pauses that grow, when
// what went wrong may pass; a command is run once. URLs, headers and the environment of a
// command may hold secrets, and are in no error and no line of the log.
package hooks
