package server

import "testing"

// TestExecRefusedAgainstRedis: an EXEC that is refused before it begins ends the transaction,
// says why, and is the same error where there is no transaction.
func TestExecRefusedAgainstRedis(t *testing.T) {
	p := newPair(t)
	for _, line := range []string{
		"EXEC x", "EXEC", "MULTI", "SET a 1", "EXEC x", "EXEC", "GET a", "WATCH a", "MULTI", "EXEC x", "SET a 2", "MULTI", "EXEC",
		"MULTI", "DISCARD x", "EXEC", "DISCARD", "MULTI x", "MULTI", "MULTI x", "EXEC",
		"ACL SETUSER noexec on nopass ~* +@all -exec", "AUTH noexec x", "EXEC", "MULTI", "SET a 3", "EXEC", "GET a", "DISCARD", "ACL WHOAMI", "AUTH default x", "AUTH default nosuch",
		"SUBSCRIBE c", "EXEC", "EXEC x", "UNSUBSCRIBE c", "INFO errorstats",
	} {
		if ours, redis := p.both(line); ours != redis {
			t.Errorf("%s\nours  %s\nredis %s", line, ours, redis)
		}
	}
}
