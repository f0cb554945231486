package command

import (
	"encoding/binary"
	"slices"
	"strings"
)

//go:generate go run ./spec -o table_gen.go

// handlers are the functions that execute commands, by the commands' names.
type handlers map[string]Handler

// groups are the handlers of the files of this package.
func groups() []handlers {
	return []handlers{
		stringHandlers, genericHandlers, expireHandlers, scanHandlers, sortHandlers, objectHandlers,
		bitmapHandlers, hyperloglogHandlers, hashHandlers, hashExpireHandlers, hashExHandlers, listHandlers, setHandlers, zsetHandlers, geoHandlers, blockingHandlers,
		streamHandlers, streamDeleteHandlers, streamGroupHandlers, streamInfoHandlers, functionHandlers, pubsubHandlers, trackingHandlers,
		connectionHandlers, clientHandlers, clusterHandlers, clusterOneHandlers, moduleHandlers, replicationHandlers, migrateHandlers, serverHandlers, configHandlers, debugHandlers, diagnoseHandlers, latencyHandlers, commandHandlers,
	}
}

// tableSize is a power of two several times the number of commands, so that
// nearly every name is found at its first slot.
const (
	tableBits = 11
	tableSize = 1 << tableBits
)

// The table is built during package initialisation and never changed: an open
// addressing hash table keyed by the case-folded name.
var (
	table [tableSize]*Command
	all   []*Command
	every []*Command // with subcommands, by Command.index
)

func init() {
	run := handlers{}
	for _, g := range groups() {
		for name, h := range g {
			if run[name] != nil {
				panic("command: " + name + " has two handlers")
			}
			run[name] = h
		}
	}
	all = make([]*Command, len(specs))
	for i := range specs { // in the order of their names
		cmd := &specs[i]
		cmd.finish(run)
		all[i] = cmd
		for _, c := range append([]*Command{cmd}, cmd.Sub...) {
			c.index = len(every)
			every = append(every, c)
		}
		at := nameHash([]byte(cmd.Name))
		for table[at] != nil {
			at = (at + 1) % tableSize
		}
		table[at] = cmd
	}
	for name := range run {
		panic("command: " + name + " has a handler and no file in spec")
	}
}

// finish gives a command its handler, which it takes out of run, and what
// follows from its specification.
func (cmd *Command) finish(run handlers) {
	for _, sub := range cmd.Sub {
		sub.finish(run)
	}
	cmd.Handler = run[cmd.Name]
	delete(run, cmd.Name)
	cmd.Categories = cmd.Categories.implied(cmd.Flags)
	cmd.keys, cmd.stores = keyFinders[cmd.Name], storeFinders[cmd.Name]
	cmd.reads = cmd.Name == "xread" || cmd.Name == "xreadgroup"
	cmd.any, cmd.seek = everywhere[cmd.Name], seekers[cmd.Name]
	cmd.placeKeys()
	if n := len(cmd.Name); n >= 3 && n <= 8 && strings.Trim(cmd.Name, "abcdefghijklmnopqrstuvwxyz") == "" {
		cmd.letters = letters([]byte(cmd.Name))
	}
	cmd.Shardless = len(cmd.Sub) == 0 && len(cmd.KeySpecs) == 0 && cmd.keys == nil && cmd.stores == nil && cmd.Flags&(EachShard|AllShards|Patterns) == 0
	cmd.plain = cmd.isPlain()
}

// everywhere tells, of a command that may need every shard, whether these arguments do.
var everywhere = map[string]func(args [][]byte) bool{
	"debug": debugsAll,
}

// nameHash hashes a name regardless of case.
func nameHash(name []byte) uint64 {
	h := uint64(len(name))
	for _, c := range name {
		h = (h ^ uint64(c|0x20)) * 0x9E3779B97F4A7C15
	}
	return h >> (64 - tableBits)
}

// Lookup finds a command by name in any case; nil when there is none. It does
// not allocate.
func Lookup(name []byte) *Command {
	if len(name) > 64 {
		return nil
	}
	for at := nameHash(name); table[at] != nil; at = (at + 1) % tableSize {
		if cmd := table[at]; is(name, cmd.Name) {
			return cmd
		}
	}
	return nil
}

// Named tells whether Lookup finds cmd by a name.
func (cmd *Command) Named(name []byte) bool {
	if cmd.letters != 0 && len(name) == len(cmd.Name) {
		return letters(name) == cmd.letters
	}
	return is(name, cmd.Name)
}

// letters is a name of three to eight bytes as a number in which a letter is the same in either case. It tells
// names apart of which one is of letters alone.
func letters(name []byte) uint64 {
	const lower = 0x2020202020202020
	n := len(name)
	if n == 3 {
		return lower | uint64(binary.LittleEndian.Uint16(name)) | uint64(name[2])<<16
	}
	begin, end := binary.LittleEndian.Uint32(name), binary.LittleEndian.Uint32(name[n-4:])
	return lower | uint64(begin) | uint64(end)<<((n-4)*8&63)
}

// All returns every command, ordered by name. The slice is the caller's.
func All() []*Command { return slices.Clone(all) }

// LoggedVerbs returns the names of the commands that can appear in a log,
// ordered. All of them are replayed through this same table.
func LoggedVerbs() []string {
	var out []string
	for _, cmd := range all {
		if cmd.logged() || slices.ContainsFunc(cmd.Sub, (*Command).logged) {
			out = append(out, cmd.Name)
		}
	}
	return out
}

// logged tells whether cmd can be in a log by its own name.
func (cmd *Command) logged() bool {
	return cmd.Flags&Write != 0 && cmd.Flags&Rewritten == 0 && cmd.Handler != nil
}
