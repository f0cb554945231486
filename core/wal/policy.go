package wal

import (
	"fmt"
	"strings"
)

// Policy is when the log is made durable.
type Policy int32

const (
	// Always: Commit returns after the fsync that covers what was appended.
	Always Policy = iota
	// EverySec: written at once, fsynced every second.
	EverySec
	// No: written at once; the operating system decides.
	No
)

// String is Redis's name of the policy: "always", "everysec", "no".
func (p Policy) String() string {
	switch p {
	case Always:
		return "always"
	case EverySec:
		return "everysec"
	case No:
		return "no"
	}
	return fmt.Sprintf("wal.Policy(%d)", int32(p))
}

// ParsePolicy reads a policy's name.
func ParsePolicy(s string) (Policy, error) {
	for _, p := range []Policy{Always, EverySec, No} {
		if strings.EqualFold(s, p.String()) {
			return p, nil
		}
	}
	return 0, fmt.Errorf("fsync policy %q: want always, everysec or no", s)
}
