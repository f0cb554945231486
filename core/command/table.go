package command

import (
	"slices"
	"strings"
)

// groups are the tables of the files of this package.
func groups() [][]*Command {
	return [][]*Command{
		stringCommands, genericCommands, expireCommands, scanCommands, transactionCommands,
		hashCommands, listCommands, setCommands, zsetCommands, adminCommands,
	}
}

// transactionCommands are executed by the session, which owns the state of MULTI.
var transactionCommands = []*Command{
	{
		Name: "multi", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy | InsideMulti, ACLCats: "transaction",
		Group: "transactions", Since: "1.2.0", Complexity: "O(1)",
		Summary: "Mark the start of a transaction block",
	},
	{
		Name: "exec", Arity: 1, Flags: NoScript | Loading | Stale | SkipSlowlog | InsideMulti, ACLCats: "transaction",
		Group: "transactions", Since: "1.2.0", Complexity: "Depends on commands in the transaction",
		Summary: "Execute all commands issued after MULTI",
	},
	{
		Name: "discard", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy | InsideMulti, ACLCats: "transaction",
		Group: "transactions", Since: "2.0.0", Complexity: "O(N), when N is the number of queued commands",
		Summary: "Discard all commands issued after MULTI",
	},
	{
		Name: "watch", Arity: -2, Flags: NoScript | Loading | Stale | Fast | AllowBusy | InsideMulti,
		First: 1, Last: -1, Step: 1, ACLCats: "transaction",
		Group: "transactions", Since: "2.2.0", Complexity: "O(1) for every key.",
		Summary: "Watch the given keys to determine execution of the MULTI/EXEC block",
	},
	{
		Name: "unwatch", Arity: 1, Flags: NoScript | Loading | Stale | Fast | AllowBusy, ACLCats: "transaction",
		Group: "transactions", Since: "2.2.0", Complexity: "O(1)",
		Summary: "Forget about all watched keys",
	},
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
)

func init() {
	for _, g := range groups() {
		for _, cmd := range g {
			finish(cmd)
			all = append(all, cmd)
		}
	}
	slices.SortFunc(all, func(a, b *Command) int { return strings.Compare(a.Name, b.Name) })
	for i, cmd := range all {
		if i > 0 && all[i-1].Name == cmd.Name {
			panic("command: " + cmd.Name + " is declared twice")
		}
		at := nameHash([]byte(cmd.Name))
		for table[at] != nil {
			at = (at + 1) % tableSize
		}
		table[at] = cmd
	}
}

// finish completes a declaration: subcommands get their full names, and a
// container whose subcommands have keys can place them.
func finish(cmd *Command) {
	keyed := false
	for name, sub := range cmd.Sub {
		sub.Name = cmd.Name + "|" + name
		keyed = keyed || sub.First != 0 || sub.Keys != nil
	}
	if keyed && cmd.Keys == nil {
		cmd.Keys = func([][]byte) []int { return nil } // a subcommand's own positions come first
	}
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

// All returns every command, ordered by name. The slice is the caller's.
func All() []*Command { return slices.Clone(all) }

// LoggedVerbs returns the names of the commands that can appear in a log,
// ordered. All of them are replayed through this same table.
func LoggedVerbs() []string {
	var out []string
	for _, cmd := range all {
		if cmd.Flags&Write != 0 && cmd.Flags&Rewritten == 0 && cmd.Handler != nil {
			out = append(out, cmd.Name)
		}
	}
	return out
}
