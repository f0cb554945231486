package command

import "github.com/spillwaydb/spillway/core/resp"

// Doc is what COMMAND DOCS and HELP tell people about a command.
type Doc struct {
	Summary    string // a sentence
	Since      string // the version of Redis that had it first
	Group      string
	Complexity string
	Flags      []string // "deprecated" and "syscmd"
	// DeprecatedSince and ReplacedBy are set of deprecated commands.
	DeprecatedSince, ReplacedBy string
	History                     []Change
	Arguments                   []Argument
}

// Change is something that a version of Redis has changed about a command.
type Change struct{ Since, Text string }

// emptyToken is the Token of an argument that is an empty string (MIGRATE).
const emptyToken = `""`

// Argument is an argument of a command, a choice of some (oneof) or several one
// after the other (block).
type Argument struct {
	Name                   string
	Type                   string // as Redis names it: string, integer, key, pure-token, oneof, …
	Token                  string // the word before it, or all there is of a pure-token
	Key                    int    // its place in Command.KeySpecs plus 1; 0: it is no key
	Optional               bool
	Multiple               bool // it may be repeated
	MultipleToken          bool // and its Token with it
	Since, DeprecatedSince string
	Arguments              []Argument // of oneof and block
}

func commandDocs(c *Ctx) {
	var cmds []*Command
	if len(c.Args) == 2 {
		cmds = all
	}
	for _, n := range c.Args[2:] {
		if cmd := byName(n); cmd != nil {
			cmds = append(cmds, cmd)
		}
	}
	replyDocs(c.Out, cmds)
}

// replyDocs replies with a map from the commands' names to what is known of them.
func replyDocs(o *resp.Writer, cmds []*Command) {
	o.Map(len(cmds))
	for _, cmd := range cmds {
		o.BulkString(cmd.Name)
		replyDoc(o, cmd)
	}
}

func replyDoc(o *resp.Writer, cmd *Command) {
	d := cmd.Doc
	n := 3
	for _, there := range []bool{
		d.Complexity != "", len(d.Flags) > 0, d.DeprecatedSince != "", d.ReplacedBy != "", len(d.History) > 0, len(d.Arguments) > 0, len(cmd.Sub) > 0,
	} {
		if there {
			n++
		}
	}
	o.Map(n)
	replyText(o, "summary", d.Summary)
	replyText(o, "since", d.Since)
	replyText(o, "group", d.Group)
	replyText(o, "complexity", d.Complexity)
	if len(d.Flags) > 0 {
		o.BulkString("doc_flags")
		o.Set(len(d.Flags))
		for _, f := range d.Flags {
			o.SimpleString(f)
		}
	}
	replyText(o, "deprecated_since", d.DeprecatedSince)
	replyText(o, "replaced_by", d.ReplacedBy)
	if len(d.History) > 0 {
		o.BulkString("history")
		o.Set(len(d.History))
		for _, h := range d.History {
			o.Array(2)
			o.BulkString(h.Since)
			o.BulkString(h.Text)
		}
	}
	if len(d.Arguments) > 0 {
		o.BulkString("arguments")
		replyArguments(o, d.Arguments)
	}
	if len(cmd.Sub) > 0 {
		o.BulkString("subcommands")
		replyDocs(o, cmd.Sub)
	}
}

// replyText replies with a field of a map, unless it is empty.
func replyText(o *resp.Writer, name, text string) {
	if text != "" {
		o.BulkString(name)
		o.BulkString(text)
	}
}

func replyArguments(o *resp.Writer, args []Argument) {
	o.Array(len(args))
	for i := range args {
		replyArgument(o, &args[i])
	}
}

func replyArgument(o *resp.Writer, a *Argument) {
	flags := a.flags()
	n := 2
	for _, there := range []bool{a.Key > 0, a.Token != "", a.Since != "", a.DeprecatedSince != "", len(flags) > 0, len(a.Arguments) > 0} {
		if there {
			n++
		}
	}
	o.Map(n)
	replyText(o, "name", a.Name)
	replyText(o, "type", a.Type)
	if a.Key > 0 {
		o.BulkString("key_spec_index")
		o.Int(int64(a.Key - 1))
	}
	if a.Token == emptyToken {
		o.BulkString("token")
		o.BulkString("")
	} else {
		replyText(o, "token", a.Token)
	}
	replyText(o, "since", a.Since)
	replyText(o, "deprecated_since", a.DeprecatedSince)
	if len(flags) > 0 {
		o.BulkString("flags")
		o.Set(len(flags))
		for _, f := range flags {
			o.SimpleString(f)
		}
	}
	if len(a.Arguments) > 0 {
		o.BulkString("arguments")
		replyArguments(o, a.Arguments)
	}
}

func (a *Argument) flags() []string {
	var out []string
	if a.Optional {
		out = append(out, "optional")
	}
	if a.Multiple {
		out = append(out, "multiple")
	}
	if a.MultipleToken {
		out = append(out, "multiple_token")
	}
	return out
}
