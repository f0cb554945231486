package command

import "strings"

// There are no modules, which are C code for another program: MODULE answers as a
// Redis does that has none and, by default, lets nobody load any.
var moduleHandlers = handlers{
	"module|list":   func(c *Ctx) { c.Out.Array(0) },
	"module|load":   protectedCommand,
	"module|loadex": protectedCommand,
	"module|unload": protectedCommand,
	"module|help":   help,
}

// protectedCommand refuses what a parameter of Redis permits that is off here.
func protectedCommand(c *Ctx) {
	name := string(c.Args[0])
	c.Out.Errorf("ERR %s command not allowed. If the enable-%s-command option is set to \"local\", you can run it from a local connection, "+
		"otherwise you need to set this option in the configuration file, and then restart the server.", strings.ToUpper(name), strings.ToLower(name))
}
