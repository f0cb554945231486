// Package session executes clients' commands: what Redis checks before one
// runs, the locks of the keys, MULTI and WATCH, what goes into the log, and the
// durability that a reply waits for.
//
//	Session.Run → shard lock → command handler → keyspace
//	                        └→ wal.Append (a copy into the shard's buffer)
//	Session.Finish → unlock → wal.CommitTo (write, fsync as the policy says) → reply may leave
//
// It knows no socket: core/server has one session a connection, and embedded
// programs call [Session.Do]. It knows no engine either: [Runtime] is what it
// needs of the one around it.
package session
