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

// waitAOF is WAITAOF where there are no replicas. The log is synced at once, whatever
// appendfsync says.
func waitAOF(c *Ctx) {
	local, ok := c.intArg(c.Args[1])
	if !ok {
		return
	}
	if local < 0 || local > 1 {
		c.Out.Error("ERR value is out of range, value must between 0 and 1") // Redis's wording
		return
	}
	replicas, ok := c.positiveArg(c.Args[2])
	if !ok {
		return
	}
	deadline, ok := c.millisecondsArg(c.Args[3])
	if !ok {
		return
	}
	client := c.Client
	kept, synced := client.Synced()
	if local == 1 && !kept {
		c.Out.Error("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.")
		return
	}
	reply := func(out *resp.Writer) {
		out.Array(2)
		if _, synced := client.Synced(); synced {
			out.Int(1)
		} else {
			out.Int(0)
		}
		out.Int(0)
	}
	enough := replicas == 0 && (local == 0 || synced)
	begin := func() { client.SyncWrites(replicas == 0) }
	if enough || !c.BlockWhile(deadline, begin, reply) {
		reply(c.Out)
	}
}
