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

// TestAdminAgainstRedis: odd words to commands that look after users and clients are
// answered as a redis-server answers them.
func TestAdminAgainstRedis(t *testing.T) {
	p := newPair(t)
	for _, line := range []string{
		"ACL SETUSER u on nopass +@read +get|x +select|1", "ACL LIST", "ACL SETUSER u +@all", "ACL LIST", "ACL SETUSER u -select +select|1", "ACL LIST", "ACL SETUSER u reset",
		"CLIENT LIST ID 0", "CLIENT LIST ID -1", "CLIENT LIST ID 99999 0", "CLIENT LIST ID x", "CLIENT LIST ID", "CLIENT KILL ID 0", "CLIENT KILL ID -1", "CLIENT KILL ID x", "CLIENT LIST TYPE x",
		"CLIENT UNBLOCK x", "CLIENT PAUSE -1", "CLIENT TRACKING on BCAST PREFIX a PREFIX ab", "CLIENT TRACKING on OPTIN OPTOUT", "CLIENT CACHING yes", "CLIENT TRACKINGINFO", "ACL DRYRUN u get a", "ACL GENPASS 0", "ACL LOG -1",
	} {
		if ours, redis := p.both(line); ours != redis {
			t.Errorf("%s\nours  %s\nredis %s", line, ours, redis)
		}
	}
}
