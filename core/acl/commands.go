package acl

import (
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/command"
)

// commandSet is a set of commands and subcommands, a bit each.
type commandSet struct {
	bits []uint64 // by the number in numbers; nil is the empty set
	// future says that commands which do not exist yet would be in it as well:
	// it began as the set of all.
	future bool
	all    bool // every bit is set
}

// numbers give each command and subcommand its bit, in the order of ordered.
var (
	ordered []*command.Command
	numbers = map[*command.Command]int{}
)

func init() {
	for _, cmd := range command.All() {
		for _, c := range append([]*command.Command{cmd}, cmd.Sub...) {
			numbers[c] = len(ordered)
			ordered = append(ordered, c)
		}
	}
}

// eachCommand calls do for every command and subcommand, a container before its
// subcommands.
func eachCommand(do func(cmd *command.Command)) {
	for _, cmd := range ordered {
		do(cmd)
	}
}

// lookup finds a command, or a subcommand as "config|get"; nil when there is none.
func lookup(name string) *command.Command {
	container, _, ok := strings.Cut(name, "|")
	cmd := command.Lookup([]byte(container))
	if !ok || cmd == nil {
		return cmd
	}
	i := slices.IndexFunc(cmd.Sub, func(sub *command.Command) bool { return strings.EqualFold(sub.Name, name) })
	if i < 0 {
		return nil
	}
	return cmd.Sub[i]
}

func (s *commandSet) clone() commandSet {
	return commandSet{slices.Clone(s.bits), s.future, s.all}
}

func (s *commandSet) fill() {
	s.bits = make([]uint64, (len(ordered)+63)/64)
	for i := range ordered {
		s.bits[i/64] |= 1 << (i % 64)
	}
	s.future, s.all = true, true
}

func (s *commandSet) has(cmd *command.Command) bool {
	if s.all {
		return true
	}
	n, ok := numbers[cmd]
	return ok && s.bits != nil && s.bits[n/64]>>(n%64)&1 == 1
}

func (s *commandSet) set(cmd *command.Command, on bool) {
	if s.bits == nil {
		s.bits = make([]uint64, (len(ordered)+63)/64)
	}
	n := numbers[cmd]
	if on {
		s.bits[n/64] |= 1 << (n % 64)
	} else {
		s.bits[n/64] &^= 1 << (n % 64)
		s.all = false
	}
}
