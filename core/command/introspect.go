package command

import "strings"

func commandSub(arity int, summary string, h Handler) *Command {
	return &Command{
		Arity: arity, Flags: Loading | Stale, ACLCats: "connection", Handler: h,
		Group: groupServer, Since: "2.8.13", Complexity: "O(N) where N is the number of commands", Summary: summary,
	}
}

// commandCommand is COMMAND. Alone it is COMMAND INFO of everything.
var commandCommand = &Command{
	Name: "command", Arity: -1, Flags: Loading | Stale, ACLCats: "connection", Group: groupServer, Since: "2.8.13",
	Complexity: "O(N) where N is the total number of Redis commands", Summary: "Get array of Redis command details",
	Handler: func(c *Ctx) { commandInfo(c, nil) },
}

// The subcommands refer to the table, which refers to this command.
func init() {
	commandCommand.Sub = map[string]*Command{
		"count":   commandSub(2, "Get total number of Redis commands", func(c *Ctx) { c.Out.Int(int64(len(all))) }),
		"info":    commandSub(-2, "Get array of specific Redis command details, or all when no argument is given.", func(c *Ctx) { commandInfo(c, c.Args[2:]) }),
		"docs":    commandSub(-2, "Get array of specific Redis command documentation", commandDocs),
		"list":    commandSub(-2, "Get an array of Redis command names", commandList),
		"getkeys": commandSub(-4, "Extract keys given a full Redis command", commandGetKeys),
		"help":    commandSub(2, "Show helpful text about the different subcommands", helpFor("COMMAND", "(no subcommand)", "COUNT", "DOCS [<command-name> ...]", "GETKEYS <full-command>", "INFO [<command-name> ...]", "LIST")),
	}
}

// named finds "get" and "config|get".
func named(name []byte) *Command {
	container, sub, found := strings.Cut(strings.ToLower(string(name)), "|")
	cmd := Lookup([]byte(container))
	if cmd == nil || !found {
		return cmd
	}
	return cmd.Sub[sub]
}

func commandInfo(c *Ctx, names [][]byte) {
	if len(names) == 0 {
		c.Out.Array(len(all))
		for _, cmd := range all {
			replyCommand(c, cmd)
		}
		return
	}
	c.Out.Array(len(names))
	for _, n := range names {
		if cmd := named(n); cmd != nil {
			replyCommand(c, cmd)
		} else {
			c.Out.Null()
		}
	}
}

func replyCommand(c *Ctx, cmd *Command) {
	o := c.Out
	o.Array(10)
	o.BulkString(cmd.Name)
	o.Int(int64(cmd.Arity))
	replyWords(c, cmd.Flags.Names(), true)
	o.Int(int64(cmd.First))
	o.Int(int64(cmd.Last))
	o.Int(int64(cmd.Step))
	replyWords(c, cmd.Categories(), true)
	o.Array(0) // tips
	o.Array(0) // key specifications
	o.Array(len(cmd.Sub))
	for _, sub := range sortedSubs(cmd) {
		replyCommand(c, sub)
	}
}

func replyWords(c *Ctx, words []string, set bool) {
	if set {
		c.Out.Set(len(words))
	} else {
		c.Out.Array(len(words))
	}
	for _, w := range words {
		c.Out.SimpleString(w)
	}
}

func commandDocs(c *Ctx) {
	var cmds []*Command
	if len(c.Args) == 2 {
		cmds = all
	}
	for _, n := range c.Args[2:] {
		if cmd := named(n); cmd != nil {
			cmds = append(cmds, cmd)
		}
	}
	c.Out.Map(len(cmds))
	for _, cmd := range cmds {
		replyDocs(c, cmd)
	}
}

func replyDocs(c *Ctx, cmd *Command) {
	o := c.Out
	o.BulkString(cmd.Name)
	n := 4
	if len(cmd.Sub) > 0 {
		n++
	}
	o.Map(n)
	for _, kv := range [][2]string{{"summary", cmd.Summary}, {"since", cmd.Since}, {"group", cmd.Group}, {"complexity", cmd.Complexity}} {
		o.BulkString(kv[0])
		o.BulkString(kv[1])
	}
	if len(cmd.Sub) > 0 {
		o.BulkString("subcommands")
		o.Map(len(cmd.Sub))
		for _, sub := range sortedSubs(cmd) {
			replyDocs(c, sub)
		}
	}
}

func commandList(c *Ctx) {
	keep := func(*Command) bool { return true }
	switch {
	case len(c.Args) == 2:
	case len(c.Args) == 5 && is(c.Args[2], "filterby") && is(c.Args[3], "pattern"):
		keep = func(cmd *Command) bool { return GlobMatch(c.Args[4], []byte(cmd.Name), true) }
	case len(c.Args) == 5 && is(c.Args[2], "filterby") && is(c.Args[3], "aclcat"):
		want := "@" + strings.ToLower(string(c.Args[4]))
		keep = func(cmd *Command) bool {
			for _, cat := range cmd.Categories() {
				if cat == want {
					return true
				}
			}
			return false
		}
	case len(c.Args) == 5 && is(c.Args[2], "filterby") && is(c.Args[3], "module"):
		keep = func(*Command) bool { return false } // there are no modules
	default:
		c.Out.Error(errSyntax)
		return
	}
	var names []string
	for _, cmd := range all {
		if keep(cmd) {
			names = append(names, cmd.Name)
		}
	}
	c.Out.Array(len(names))
	for _, n := range names {
		c.Out.BulkString(n)
	}
}

func commandGetKeys(c *Ctx) {
	args := c.Args[2:]
	cmd := Lookup(args[0])
	if cmd == nil {
		c.Out.Error("ERR Invalid command specified")
		return
	}
	if CheckArity(cmd, args) != "" {
		c.Out.Error("ERR Invalid number of arguments specified for command")
		return
	}
	idx, err := cmd.KeyIndexes(args)
	switch {
	case err != nil:
		c.Out.Error("ERR " + err.Error())
	case len(idx) == 0:
		c.Out.Error("ERR The command has no key arguments")
	default:
		c.Out.Array(len(idx))
		for _, i := range idx {
			c.Out.Bulk(args[i])
		}
	}
}
