package command

import "strings"

// help is the HELP of every container: its subcommands, each with its arguments
// and what it does, as the table says it.
func help(c *Ctx) {
	cmd := Lookup(c.Args[0])
	name := strings.ToUpper(cmd.Name)
	lines := []string{name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"}
	if cmd.Handler != nil {
		lines = append(lines, "(no subcommand)", "    "+cmd.Doc.Summary)
	}
	for _, sub := range cmd.Sub {
		if sub.Name != cmd.Name+"|help" {
			lines = append(lines, sub.Usage(), "    "+sub.Doc.Summary)
		}
	}
	lines = append(lines, "HELP", "    Prints this help.")
	c.Out.Array(len(lines))
	for _, l := range lines {
		c.Out.SimpleString(l)
	}
}

// Usage is how the command is written, without the name of the container:
// "SET <parameter> <value> ...", "REPLY (ON|OFF|SKIP)", "GET [<count>]".
func (cmd *Command) Usage() string {
	name := cmd.Name[strings.LastIndexByte(cmd.Name, '|')+1:]
	return strings.TrimSpace(strings.ToUpper(name) + " " + sequence(cmd.Doc.Arguments))
}

func sequence(args []Argument) string {
	var words []string
	for i := range args {
		words = append(words, args[i].usage(true))
	}
	return strings.Join(words, " ")
}

// usage is how the argument is written. In a choice, whether it is optional is
// not told.
func (a *Argument) usage(optional bool) string {
	value := a.value()
	if a.Multiple && !a.MultipleToken {
		if len(a.Arguments) > 0 {
			value += " ..."
		} else {
			value += " [" + value + " ...]"
		}
	}
	if a.Token != "" && a.Type != "pure-token" {
		value = a.Token + " " + value
	}
	if a.MultipleToken {
		value += " [" + value + " ...]"
	}
	switch {
	case !optional || !a.Optional:
		return value
	case a.Type == "oneof" && a.Token == "" && !a.Multiple:
		return "[" + value[1:len(value)-1] + "]"
	default:
		return "[" + value + "]"
	}
}

func (a *Argument) value() string {
	switch a.Type {
	case "pure-token":
		return a.Token
	case "block":
		return sequence(a.Arguments)
	case "oneof":
		var words []string
		for i := range a.Arguments {
			words = append(words, a.Arguments[i].usage(false))
		}
		return "(" + strings.Join(words, "|") + ")"
	default:
		return "<" + a.Name + ">"
	}
}
