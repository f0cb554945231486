package command

import (
	"strings"

	"github.com/spillwaydb/spillway/core/resp"
)

func clientUnblock(c *Ctx) {
	withError := false
	if len(c.Args) > 4 {
		c.tooManyWords()
		return
	}
	if len(c.Args) == 4 {
		switch a := c.Args[3]; {
		case is(a, "timeout"):
		case is(a, "error"):
			withError = true
		default:
			c.Out.Error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
			return
		}
	}
	if id, ok := c.intArg(c.Args[2]); ok {
		c.replyBool(c.Client.UnblockClient(id, withError))
	}
}

// tooManyWords replies as Redis does where a subcommand sees by itself that it has
// more arguments than it knows.
func (c *Ctx) tooManyWords() {
	c.Out.Errorf("ERR unknown subcommand or wrong number of arguments for '%s'. Try %s HELP.", clip(c.Args[1], 128), strings.ToUpper(string(c.Args[0])))
}

func clientPause(c *Ctx) {
	all := true
	if len(c.Args) > 4 {
		c.tooManyWords()
		return
	}
	if len(c.Args) == 4 {
		switch a := c.Args[3]; {
		case is(a, "write"):
			all = false
		case is(a, "all"):
		default:
			c.Out.Error("ERR CLIENT PAUSE mode must be WRITE or ALL")
			return
		}
	}
	if until, ok := c.millisecondsArg(c.Args[2]); ok {
		c.Client.PauseClients(until, all)
		c.Out.OK()
	}
}

func clientUnpause(c *Ctx) {
	c.Client.UnpauseClients()
	c.Out.OK()
}

// waitCommand is WAIT where there are no replicas.
func waitCommand(c *Ctx) {
	replicas, ok := c.intArg(c.Args[1])
	if !ok {
		return
	}
	deadline, ok := c.millisecondsArg(c.Args[2])
	if !ok {
		return
	}
	none := func(out *resp.Writer) { out.Int(0) }
	if replicas <= 0 || !c.BlockUntil(deadline, none) {
		none(c.Out)
	}
}
