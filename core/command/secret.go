package command

import (
	"slices"
	"strings"
)

// redacted is shown in place of a secret, as Redis shows it.
const redacted = "(redacted)"

// foreignSecrets are secret parameters of Redis that an engine does not have.
// Somebody may try to set them all the same.
var foreignSecrets = []string{"masterauth", "masteruser"}

// secrets returns which arguments of a command are secret: wherever commands
// are shown, those are not. Redis knows the same. param tells which parameters
// are secret.
func secrets(args [][]byte, param func(name string) bool) func(i int) bool {
	none := func(int) bool { return false }
	from := func(first, last int) func(int) bool {
		return func(i int) bool { return i >= first && i <= last }
	}
	switch name := args[0]; {
	case is(name, "auth"):
		return from(1, len(args))
	case is(name, "acl") && len(args) > 2 && is(args[1], "setuser"):
		return from(2, len(args))
	case is(name, "hello"):
		for i := 2; i+2 < len(args); i++ {
			if is(args[i], "auth") {
				return from(i+1, i+2)
			}
		}
	case is(name, "migrate"):
		for i := 6; i+1 < len(args); i++ {
			switch {
			case is(args[i], "auth"):
				return from(i+1, i+1)
			case is(args[i], "auth2"):
				return from(i+1, i+2)
			}
		}
	case is(name, "config") && len(args) > 3 && is(args[1], "set"):
		return func(i int) bool {
			if i < 3 || i%2 == 0 {
				return false
			}
			name := strings.ToLower(string(args[i-1]))
			return slices.Contains(foreignSecrets, name) || param(name)
		}
	}
	return none
}
