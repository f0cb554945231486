package command

import (
	"fmt"
	"strings"
)

const errClientName = "ERR Client names cannot contain spaces, newlines or special characters."

var clientHandlers = handlers{
	"client|id":       func(c *Ctx) { c.Out.Int(c.Client.ID()) },
	"client|list":     clientList,
	"client|info":     func(c *Ctx) { c.Out.Verbatim("txt", clientLine(c.ownInfo(c.Client.Info()))) },
	"client|kill":     clientKill,
	"client|getname":  clientGetName,
	"client|setname":  clientSetName,
	"client|setinfo":  clientSetInfo,
	"client|no-evict": clientNoEvict,
	"client|no-touch": clientNoTouch,
	"client|reply":    clientReply,
	"client|unblock":  clientUnblock,
	"client|pause":    clientPause,
	"client|unpause":  clientUnpause,
	"client|help":     help,
	"acl|help":        help,
}

// Line is the client's line of CLIENT LIST, without its end.
func (i ClientInfo) Line() string { return strings.TrimSuffix(clientLine(i), "\n") }

// OfClient tells whether cmd is a subcommand of CLIENT, which may be nil.
func OfClient(cmd *Command) bool { return cmd != nil && strings.HasPrefix(cmd.Name, "client|") }

// clientLine is one line of CLIENT LIST, in Redis's field order.
func clientLine(i ClientInfo) string {
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=%d name=%s age=%d idle=%d flags=%s db=%d sub=%d psub=%d ssub=%d multi=%d qbuf=%d qbuf-free=%d "+
		"argv-mem=%d multi-mem=%d rbs=%d rbp=%d obl=%d oll=%d omem=%d tot-mem=%d events=%s cmd=%s user=%s redir=%d resp=%d lib-name=%s lib-ver=%s\n",
		i.ID, i.Addr, i.LAddr, i.FD, i.Name, seconds(i.Age), seconds(i.Idle), i.Flags, i.DB, i.Sub, i.PSub, i.SSub, i.Multi, i.QueryBuf, i.QueryBufFree,
		i.ArgvMem, i.MultiMem, i.ReplyBuf, i.ReplyPeak, i.OutputBuf, i.OutputList, i.OutputMem, i.TotMem, i.Events, i.Cmd, i.User, i.Redir, i.Proto, i.LibName, i.LibVer)
}

// ownInfo adds what the client that asks knows of itself: its command.
func (c *Ctx) ownInfo(i ClientInfo) ClientInfo {
	i.ArgvMem = argsSize(c.Args)
	return i
}

// argsSize is how many bytes the arguments of a command have.
func argsSize(args [][]byte) (n int) {
	for _, a := range args {
		n += len(a)
	}
	return n
}

func clientList(c *Ctx) {
	f, ok := c.clientFilter(c.Args[2:])
	if !ok {
		return
	}
	var b strings.Builder
	for _, i := range c.Client.Clients() {
		if f.accepts(i) && (!f.skipMe || i.ID != c.Client.ID()) {
			if i.ID == c.Client.ID() {
				i = c.ownInfo(i)
			}
			b.WriteString(clientLine(i))
		}
	}
	c.Out.Verbatim("txt", b.String())
}

func clientKill(c *Ctx) {
	if len(c.Args) == 3 { // the old form: an address, this client included
		addr := string(c.Args[2])
		if c.Client.KillClients(func(i ClientInfo) bool { return i.Addr == addr }, false) == 0 {
			c.Out.Error("ERR No such client")
			return
		}
		c.Out.OK()
		return
	}
	f, ok := c.clientFilter(c.Args[2:])
	if !ok {
		return
	}
	c.Out.Int(int64(c.Client.KillClients(f.accepts, f.skipMe || !f.skipMeSet)))
}

func validName(name []byte) bool {
	for _, ch := range name {
		if ch < '!' || ch > '~' {
			return false
		}
	}
	return true
}

func clientSetName(c *Ctx) {
	if !validName(c.Args[2]) {
		c.Out.Error(errClientName)
		return
	}
	c.Client.SetName(string(c.Args[2]))
	c.Out.OK()
}

func clientGetName(c *Ctx) {
	if name := c.Client.Name(); name != "" {
		c.Out.BulkString(name)
	} else {
		c.Out.Null()
	}
}

func clientSetInfo(c *Ctx) {
	opt, val := c.Args[2], c.Args[3]
	if !validName(val) {
		c.Out.Errorf("ERR %s cannot contain spaces, newlines or special characters.", strings.ToLower(string(opt)))
		return
	}
	switch {
	case is(opt, "lib-name"):
		c.Client.SetLib(string(val), "")
	case is(opt, "lib-ver"):
		c.Client.SetLib("", string(val))
	default:
		c.Out.Errorf("ERR Unrecognized option '%s'", opt)
		return
	}
	c.Out.OK()
}

func clientNoEvict(c *Ctx) {
	switch a := c.Args[2]; {
	case is(a, "on"):
		c.Client.SetNoEvict(true)
	case is(a, "off"):
		c.Client.SetNoEvict(false)
	default:
		c.Out.Error(errSyntax)
		return
	}
	c.Out.OK()
}

func clientNoTouch(c *Ctx) {
	switch a := c.Args[2]; {
	case is(a, "on"):
		c.Client.SetNoTouch(true)
	case is(a, "off"):
		c.Client.SetNoTouch(false)
	default:
		c.Out.Error(errSyntax)
		return
	}
	c.Out.OK()
}

func clientReply(c *Ctx) {
	switch a := c.Args[2]; {
	case is(a, "on"):
		c.Client.SetReplyMode(ReplyOn)
		c.Out.OK()
	case is(a, "off"):
		c.Client.SetReplyMode(ReplyOff)
	case is(a, "skip"):
		c.Client.SetReplyMode(ReplySkipNext)
	default:
		c.Out.Error(errSyntax)
	}
}
