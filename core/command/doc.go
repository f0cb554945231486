// Package command holds the command table and what every command means.
//
// It owns the semantics of Redis 7.0's commands: arguments, replies, error
// texts, which keys a command has, what it changes and what of that is logged.
// It refuses to know sockets, files and locks: its caller, the executor, has
// the shards of a command's keys locked and makes the effects durable.
//
//	executor                         this package
//	  Lookup, CheckArity        →    table.go, command.go
//	  AppendKeys, lock shards   →    keyspec.go
//	  Ctx.Reset, Call           →    a Handler: strings*.go, generic.go, hashes.go, …
//	  log the effects           ←    Ctx: Verbatim, NumEffects, Effect, AppendEffects
//	  unlock
//
// What is known about a command is data: a file in spec, of which table_gen.go
// is made (go generate). Go adds the handler, in the list of handlers of the file
// that the handler is in (stringHandlers, …); table.go joins the two, and nothing
// registers itself. COMMAND, HELP, ACL categories, routing and the list of what a
// log may hold are all made from that table.
//
// # Effects
//
// What is logged are effects, never intentions: after a restart, the same
// commands run without a clock and without chance. A handler that calls
// Ctx.Changed is logged as the client sent it, unless it says otherwise with
// Ctx.LogAs:
//
//	SET k v EX 10            SET k v PXAT 1700000010000
//	EXPIRE k 10              PEXPIREAT k 1700000010000
//	EXPIRE k -1, GETDEL k    DEL k
//	INCRBYFLOAT k 0.1        SET k 10.6 KEEPTTL
//	SPOP k                   SREM k member
//	any, meeting a key       DEL k, before the command's own effect
//	past its deadline
//
// While replaying, Ctx.Now is 0: no deadline has passed then, however old, and
// a key goes where the log says DEL. LoggedVerbs lists what a log may hold.
package command
