package command

var objectCommand = &Command{
	Name: "object", Arity: -2, Flags: 0, Group: genericGroup, Since: "2.2.3",
	Complexity: "Depends on subcommand.", Summary: "A container for object introspection commands",
	Sub: map[string]*Command{
		"encoding": {
			Arity: 3, Flags: ReadOnly, First: 2, Last: 2, Step: 1, Handler: objectEncoding,
			ACLCats: "keyspace", Group: genericGroup, Since: "2.2.3", Complexity: o1,
			Summary: "Inspect the internal encoding of a Redis object",
		},
		"freq": {
			Arity: 3, Flags: ReadOnly, First: 2, Last: 2, Step: 1, Handler: objectFreq,
			ACLCats: "keyspace", Group: genericGroup, Since: "4.0.0", Complexity: o1,
			Summary: "Get the logarithmic access frequency counter of a Redis object",
		},
		"idletime": {
			Arity: 3, Flags: ReadOnly, First: 2, Last: 2, Step: 1, Handler: objectIdletime,
			ACLCats: "keyspace", Group: genericGroup, Since: "2.2.3", Complexity: o1,
			Summary: "Get the time since a Redis object was last accessed",
		},
		"refcount": {
			Arity: 3, Flags: ReadOnly, First: 2, Last: 2, Step: 1, Handler: objectRefcount,
			ACLCats: "keyspace", Group: genericGroup, Since: "2.2.3", Complexity: o1,
			Summary: "Get the number of references to the value of the key",
		},
		"help": {
			Arity: 2, Flags: Loading | Stale, Handler: objectHelp,
			ACLCats: "keyspace", Group: genericGroup, Since: "6.2.0", Complexity: o1,
			Summary: "Show helpful text about the different subcommands",
		},
	},
}

func objectEncoding(c *Ctx) {
	if e, found := c.peek(c.Args[2]); found {
		c.Out.BulkString(e.Encoding())
	} else {
		c.Out.Null()
	}
}

func objectRefcount(c *Ctx) {
	if _, found := c.peek(c.Args[2]); found {
		c.Out.Int(1)
	} else {
		c.Out.Null()
	}
}

const lruLfuNote = " Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust."

func objectIdletime(c *Ctx) {
	e, found := c.peek(c.Args[2])
	switch {
	case !found:
		c.Out.Null()
	case c.KS.LFU():
		c.Out.Error("ERR An LFU maxmemory policy is selected, idle time not tracked." + lruLfuNote)
	default:
		c.Out.Int(e.Idle(c.Now))
	}
}

func objectFreq(c *Ctx) {
	e, found := c.peek(c.Args[2])
	switch {
	case !found:
		c.Out.Null()
	case !c.KS.LFU():
		c.Out.Error("ERR An LFU maxmemory policy is not selected, access frequency not tracked." + lruLfuNote)
	default:
		c.Out.Int(int64(e.Freq(c.Now)))
	}
}

func objectHelp(c *Ctx) {
	c.replyHelp("OBJECT",
		"ENCODING <key>",
		"    Return the kind of internal representation used in order to store the value",
		"    associated with a <key>.",
		"FREQ <key>",
		"    Return the access frequency index of the <key>. The returned integer is",
		"    proportional to the logarithm of the recent access frequency of the key.",
		"IDLETIME <key>",
		"    Return the idle time of the <key>, that is the approximated number of",
		"    seconds elapsed since the last access to the key.",
		"REFCOUNT <key>",
		"    Return the number of references of the value associated with the specified",
		"    <key>.",
	)
}

// replyHelp replies with the help text of a container command, in upper case;
// lines describe its subcommands but for HELP.
func (c *Ctx) replyHelp(name string, lines ...string) {
	c.Out.Array(len(lines) + 3)
	c.Out.SimpleString(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")
	for _, l := range lines {
		c.Out.SimpleString(l)
	}
	c.Out.SimpleString("HELP")
	c.Out.SimpleString("    Prints this help.")
}
