package command

import (
	"math/bits"
	"strings"

	"github.com/spillwaydb/spillway/core/resp"
)

// commandHandlers are COMMAND, which alone is COMMAND INFO of everything, and
// its subcommands.
var commandHandlers = handlers{
	"command":                 func(c *Ctx) { commandInfo(c, nil) },
	"command|count":           func(c *Ctx) { c.Out.Int(int64(len(all))) },
	"command|info":            func(c *Ctx) { commandInfo(c, c.Args[2:]) },
	"command|docs":            commandDocs,
	"command|list":            commandList,
	"command|getkeys":         func(c *Ctx) { commandKeys(c, false) },
	"command|getkeysandflags": func(c *Ctx) { commandKeys(c, true) },
	"command|help":            help,
}

// byName finds "get" and "config|get".
func byName(name []byte) *Command {
	container, _, found := strings.Cut(string(name), "|")
	cmd := Lookup([]byte(container))
	if cmd == nil || !found {
		return cmd
	}
	for _, sub := range cmd.Sub {
		if is(name, sub.Name) {
			return sub
		}
	}
	return nil
}

func commandInfo(c *Ctx, names [][]byte) {
	if len(names) == 0 {
		c.Out.Array(len(all))
		for _, cmd := range all {
			replyInfo(c.Out, cmd)
		}
		return
	}
	c.Out.Array(len(names))
	for _, n := range names {
		if cmd := byName(n); cmd != nil {
			replyInfo(c.Out, cmd)
		} else {
			c.Out.Null()
		}
	}
}

func replyInfo(o *resp.Writer, cmd *Command) {
	o.Array(10)
	o.BulkString(cmd.Name)
	o.Int(int64(cmd.Arity))
	replyFlags(o, cmd.Flags, flagNames)
	o.Int(int64(cmd.First))
	o.Int(int64(cmd.Last))
	o.Int(int64(cmd.Step))
	replyFlags(o, cmd.Categories, categoryNames)
	o.Set(len(cmd.Tips))
	for _, tip := range cmd.Tips {
		o.BulkString(tip)
	}
	o.Set(len(cmd.KeySpecs))
	for i := range cmd.KeySpecs {
		replyKeySpec(o, &cmd.KeySpecs[i])
	}
	if len(cmd.Sub) == 0 {
		o.Set(0)
		return
	}
	o.Array(len(cmd.Sub))
	for _, sub := range cmd.Sub {
		replyInfo(o, sub)
	}
}

// replyFlags replies with the names of the flags that are set.
func replyFlags[F ~uint16 | ~uint32](o *resp.Writer, set F, names []named[F]) {
	var known F
	for _, n := range names {
		known |= n.flag
	}
	o.Set(bits.OnesCount32(uint32(set & known)))
	for _, n := range names {
		if set&n.flag != 0 {
			o.SimpleString(n.name)
		}
	}
}

func replyKeySpec(o *resp.Writer, k *KeySpec) {
	n := 3
	if k.Notes != "" {
		n++
	}
	o.Map(n)
	if k.Notes != "" {
		o.BulkString("notes")
		o.BulkString(k.Notes)
	}
	o.BulkString("flags")
	replyFlags(o, k.Flags, keyFlagNames)
	o.BulkString("begin_search")
	switch k.Begin {
	case BeginIndex:
		replySpec(o, "index", number{"index", k.Index})
	case BeginKeyword:
		openSpec(o, "keyword", 2)
		o.BulkString("keyword")
		o.BulkString(k.Keyword)
		o.BulkString("startfrom")
		o.Int(int64(k.StartFrom))
	case BeginUnknown:
		replySpec(o, "unknown")
	}
	o.BulkString("find_keys")
	switch k.Find {
	case FindRange:
		replySpec(o, "range", number{"lastkey", k.Last}, number{"keystep", k.Step}, number{"limit", k.Limit})
	case FindKeyNum:
		replySpec(o, "keynum", number{"keynumidx", k.NumIndex}, number{"firstkey", k.FirstKey}, number{"keystep", k.Step})
	case FindUnknown:
		replySpec(o, "unknown")
	}
}

// number is a field of half a key specification.
type number struct {
	name string
	n    int
}

// replySpec replies with half a key specification, whose fields are numbers.
func replySpec(o *resp.Writer, kind string, fields ...number) {
	openSpec(o, kind, len(fields))
	for _, f := range fields {
		o.BulkString(f.name)
		o.Int(int64(f.n))
	}
}

// openSpec begins half a key specification, of which n fields follow.
func openSpec(o *resp.Writer, kind string, n int) {
	o.Map(2)
	o.BulkString("type")
	o.BulkString(kind)
	o.BulkString("spec")
	o.Map(n)
}

func commandList(c *Ctx) {
	keep := func(*Command) bool { return true }
	if len(c.Args) != 2 {
		if len(c.Args) != 5 || !is(c.Args[2], "filterby") {
			c.Out.Error(errSyntax)
			return
		}
		switch kind, arg := c.Args[3], c.Args[4]; {
		case is(kind, "pattern"):
			keep = func(cmd *Command) bool { return GlobMatch(arg, []byte(cmd.Name), true) }
		case is(kind, "aclcat"):
			category := CategoryByName(string(arg))
			keep = func(cmd *Command) bool { return cmd.Categories&category != 0 }
		case is(kind, "module"):
			keep = func(*Command) bool { return false } // there are no modules
		default:
			c.Out.Error(errSyntax)
			return
		}
	}
	var names []string
	for _, cmd := range all {
		if keep(cmd) {
			names = append(names, cmd.Name)
		}
		for _, sub := range cmd.Sub {
			if keep(sub) {
				names = append(names, sub.Name)
			}
		}
	}
	c.Out.Array(len(names))
	for _, n := range names {
		c.Out.BulkString(n)
	}
}

// commandKeys is COMMAND GETKEYS and COMMAND GETKEYSANDFLAGS.
func commandKeys(c *Ctx, withFlags bool) {
	args := c.Args[2:]
	cmd := Lookup(args[0])
	if cmd != nil && cmd.Sub != nil && len(args) > 1 {
		if container := cmd; container.Resolve(args) != container {
			cmd = container.Resolve(args)
		} else {
			cmd = nil
		}
	}
	switch {
	case cmd == nil:
		c.Out.Error("ERR Invalid command specified")
		return
	case !cmd.HasKeys:
		c.Out.Error("ERR The command has no key arguments")
		return
	case cmd.Arity > 0 && len(args) != cmd.Arity || len(args) < -cmd.Arity:
		c.Out.Error("ERR Invalid number of arguments specified for command")
		return
	}
	keys, err := cmd.Keys(args)
	if err != nil || len(keys) == 0 && cmd.Flags&NoMandatoryKeys == 0 {
		c.Out.Error("ERR Invalid arguments specified for command")
		return
	}
	c.Out.Array(len(keys))
	for _, k := range keys {
		if withFlags {
			c.Out.Array(2)
		}
		c.Out.Bulk(args[k.At])
		if withFlags {
			replyFlags(c.Out, k.Flags, keyFlagNames)
		}
	}
}
