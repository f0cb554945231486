package session

import (
	"testing"

	"github.com/spillwaydb/spillway/core/command"
)

// TestOwn: a command is executed by its handler, by those of its subcommands, or
// by the session: by one of them.
func TestOwn(t *testing.T) {
	n := 0
	check := func(cmd *command.Command) {
		_, connection := connectionCommands[cmd.Name]
		_, acl := aclCommands[cmd.Name]
		_, scripting := scriptingCommands[cmd.Name]
		mine := connection || acl || scripting
		if mine {
			n++
		}
		if handled := cmd.Handler != nil || cmd.Sub != nil; handled == mine {
			t.Errorf("%s: has a handler: %v, is the session's: %v", cmd.Name, handled, mine)
		}
	}
	for _, cmd := range command.All() {
		check(cmd)
		for _, sub := range cmd.Sub {
			check(sub)
		}
	}
	if all := len(connectionCommands) + len(aclCommands) + len(scriptingCommands); n != all {
		t.Errorf("%d of the session's %d commands are in the table", n, all)
	}
}
