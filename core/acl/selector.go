package acl

import (
	"slices"
	"strings"

	"github.com/spillwaydb/spillway/core/command"
)

// access is what may be done to keys, or is going to be done to one.
type access uint8

const (
	reads access = 1 << iota
	writes
)

// accessOf is what a command does to a key's data. What it does not touch, as
// EXISTS, needs a pattern of any kind.
func accessOf(f command.KeyFlags) (a access) {
	if f.Reads() {
		a |= reads
	}
	if f.Writes() {
		a |= writes
	}
	return a
}

// keyPattern permits access to keys.
type keyPattern struct {
	pattern string
	access  access
}

// String is the rule that adds the pattern.
func (p keyPattern) String() string {
	switch p.access {
	case reads:
		return "%R~" + p.pattern
	case writes:
		return "%W~" + p.pattern
	}
	return "~" + p.pattern
}

// selector is a set of permissions.
type selector struct {
	commands commandSet
	// firstArgs are commands that are permitted with certain first arguments
	// only, in lower case.
	firstArgs map[*command.Command][]string

	allKeys, allChannels bool
	keys                 []keyPattern
	channels             []string
}

func (s *selector) clone() *selector {
	c := *s
	c.commands = s.commands.clone()
	c.keys = slices.Clone(s.keys)
	c.channels = slices.Clone(s.channels)
	c.firstArgs = nil
	for cmd, args := range s.firstArgs {
		c.permitFirstArgs(cmd, args...)
	}
	return &c
}

// parseSelector returns the selector that stands in parentheses.
func parseSelector(text string, allChannels bool) (*selector, error) {
	s := &selector{allChannels: allChannels}
	for _, rule := range strings.Fields(text) {
		if err := s.apply(rule); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// apply applies one rule about commands, keys or channels.
func (s *selector) apply(rule string) error {
	switch strings.ToLower(rule) {
	case "allkeys", "~*":
		s.allKeys, s.keys = true, nil
	case "resetkeys":
		s.allKeys, s.keys = false, nil
	case "allchannels", "&*":
		s.allChannels, s.channels = true, nil
	case "resetchannels":
		s.allChannels, s.channels = false, nil
	case "allcommands", "+@all":
		s.commands.fill()
		s.firstArgs = nil
	case "nocommands", "-@all":
		s.commands = commandSet{}
		s.firstArgs = nil
	default:
		switch {
		case rule == "":
			return errSyntax
		case rule[0] == '~' || rule[0] == '%':
			return s.applyKeys(rule)
		case rule[0] == '&':
			return s.applyChannels(rule[1:])
		case rule[0] != '+' && rule[0] != '-':
			return errSyntax
		case len(rule) > 1 && rule[1] == '@':
			return s.applyCategory(rule[2:], rule[0] == '+')
		case rule[0] == '+':
			return s.permit(rule[1:])
		}
		cmd := lookup(rule[1:])
		if cmd == nil {
			return errUnknown
		}
		s.set(cmd, false)
	}
	return nil
}

func (s *selector) applyKeys(rule string) error {
	if s.allKeys {
		return errAllKeys
	}
	p := keyPattern{access: reads | writes}
	if rule[0] == '~' {
		p.pattern = rule[1:]
	} else {
		kinds, pattern, _ := strings.Cut(rule[1:], "~")
		p.pattern, p.access = pattern, 0
		for _, k := range strings.ToUpper(kinds) {
			bit := map[rune]access{'R': reads, 'W': writes}[k]
			if bit == 0 || p.access&bit != 0 {
				return errSyntax
			}
			p.access |= bit
		}
		if p.access == 0 {
			return errSyntax
		}
	}
	if hasSpaces(p.pattern) {
		return errSyntax
	}
	i := slices.IndexFunc(s.keys, func(k keyPattern) bool { return k.pattern == p.pattern })
	if i < 0 {
		s.keys = append(s.keys, p)
	} else {
		s.keys[i].access |= p.access
	}
	return nil
}

func (s *selector) applyChannels(pattern string) error {
	switch {
	case s.allChannels:
		return errAllChannels
	case hasSpaces(pattern):
		return errSyntax
	case !slices.Contains(s.channels, pattern):
		s.channels = append(s.channels, pattern)
	}
	return nil
}

func (s *selector) applyCategory(name string, on bool) error {
	cat := command.CategoryByName(name)
	if cat == 0 {
		return errUnknown
	}
	eachCommand(func(cmd *command.Command) {
		if cmd.Categories&cat != 0 {
			s.set(cmd, on)
		}
	})
	return nil
}

// permit permits what stands behind a "+": a command, a subcommand, or a command
// with a certain first argument.
func (s *selector) permit(name string) error {
	at := strings.LastIndexByte(name, '|')
	if at < 0 {
		cmd := lookup(name)
		if cmd == nil {
			return errUnknown
		}
		s.set(cmd, true)
		return nil
	}
	cmd, arg := lookup(name[:at]), name[at+1:]
	switch {
	case cmd == nil:
		return errUnknown
	case strings.Contains(cmd.Name, "|"):
		return errFirstArg
	case arg == "":
		return errSyntax
	case cmd.Sub != nil:
		if cmd = lookup(name); cmd == nil {
			return errUnknown
		}
		s.set(cmd, true)
	default:
		s.permitFirstArgs(cmd, strings.ToLower(arg))
	}
	return nil
}

func (s *selector) permitFirstArgs(cmd *command.Command, args ...string) {
	if s.firstArgs == nil {
		s.firstArgs = make(map[*command.Command][]string)
	}
	for _, a := range args {
		if !slices.Contains(s.firstArgs[cmd], a) {
			s.firstArgs[cmd] = append(s.firstArgs[cmd], a)
		}
	}
}

// set permits or refuses a command with all its subcommands.
func (s *selector) set(cmd *command.Command, on bool) {
	s.commands.set(cmd, on)
	delete(s.firstArgs, cmd)
	for _, sub := range cmd.Sub {
		s.commands.set(sub, on)
	}
}

// permitsCommand tells whether the command may run, whatever keys it names.
func (s *selector) permitsCommand(cmd *command.Command, args [][]byte) bool {
	if cmd.Flags&command.NoAuth != 0 || s.commands.has(cmd) {
		return true
	}
	if len(args) < 2 {
		return false
	}
	for _, a := range s.firstArgs[cmd] {
		if strings.EqualFold(a, string(args[1])) {
			return true
		}
	}
	return false
}

// permitsKey tells whether all that is going to be done to a key may be.
func (s *selector) permitsKey(key []byte, a access) bool {
	if s.allKeys {
		return true
	}
	for _, p := range s.keys {
		if p.access&a == a && command.GlobMatch([]byte(p.pattern), key, false) {
			return true
		}
	}
	return false
}

// permitsEveryKey tells whether that may be done to any key.
func (s *selector) permitsEveryKey(a access) bool {
	return s.allKeys || slices.ContainsFunc(s.keys, func(p keyPattern) bool { return p.access&a == a && p.pattern == "*" })
}

// permitsChannel tells whether a channel may be named. A pattern, of PSUBSCRIBE,
// must be one of the patterns itself.
func (s *selector) permitsChannel(channel []byte, pattern bool) bool {
	return s.allChannels || slices.ContainsFunc(s.channels, func(p string) bool {
		if pattern {
			return p == string(channel)
		}
		return command.GlobMatch([]byte(p), channel, false)
	})
}
