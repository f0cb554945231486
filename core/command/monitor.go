package command

import (
	"strconv"
	"time"
)

func monitor(c *Ctx) {
	switch {
	case !c.MayBlock || c.Client.Subscriber() == nil:
		c.Out.Error("ERR MONITOR isn't allowed for DENY BLOCKING client")
	default:
		at := c.Out.Len()
		if c.Out.OK(); !c.Client.Monitor() {
			c.Out.Truncate(at) // Redis says nothing to one that monitors already
		}
	}
}

// propagated are commands with neither of the flags of reading and writing that
// Redis would send to replicas all the same.
var propagated = map[string]bool{"publish": true, "spublish": true, "eval": true, "evalsha": true, "fcall": true}

// RefuseMonitor is the error reply of a command that a client may not use which
// monitors: Redis takes it for a replica. It is "" for others.
func RefuseMonitor(cmd *Command) string {
	if cmd.Flags&(Write|ReadOnly) == 0 && !propagated[cmd.Name] {
		return ""
	}
	return "ERR Replica can't interact with the keyspace"
}

// MonitorLine is what MONITOR shows of a command: when it was executed, in which
// database, where it came from, and its arguments, as far as they are not secret.
func MonitorLine(at time.Time, db int, source string, args [][]byte) []byte {
	us := at.UnixMicro()
	b := append([]byte(nil), '+')
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	fraction := strconv.Itoa(int(us%1e6) + 1e6)
	b = append(b, fraction[1:]...)
	b = append(b, " ["...)
	b = strconv.AppendInt(b, int64(db), 10)
	b = append(b, ' ')
	b = append(b, source...)
	b = append(b, ']')
	secret := secrets(args, func(string) bool { return true })
	for i, a := range args {
		b = append(b, ' ')
		if secret(i) {
			a = []byte(redacted)
		}
		b = appendQuoted(b, a)
	}
	return append(b, "\r\n"...)
}

// appendQuoted appends a string in quotes, with escapes as Redis has them.
func appendQuoted(b, s []byte) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for _, c := range s {
		switch c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		case '\a':
			b = append(b, `\a`...)
		case '\b':
			b = append(b, `\b`...)
		default:
			if c >= ' ' && c <= '~' {
				b = append(b, c)
			} else {
				b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
			}
		}
	}
	return append(b, '"')
}
