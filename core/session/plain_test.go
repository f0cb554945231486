package session_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/coretest"
	"github.com/spillwaydb/spillway/core/resp"
)

// oddities are pipelines in which something becomes out of the ordinary, and ordinary again, between commands
// that are plain.
var oddities = []string{
	"SET k v|GET k|GET none|get K|INCR n|INCRBY n 5|PING|PING x|ECHO e|STRLEN k|EXISTS k|TTL k",
	"GET|GET a b|SET k|PING a b|ECHO|NOSUCH x|GET k|OBJECT ENCODING|SET k v NX GETT",
	"LPUSH l a|GET l|INCR l|SET k v|INCR k|LPUSH k a|APPEND k w|HSET k f v|GET k",
	"GET k|CLIENT REPLY SKIP|SET k v|GET k|CLIENT REPLY OFF|SET k w|GET k|PING|CLIENT REPLY ON|GET k",
	"PING|MULTI|SET k v|GET k|GET|EXEC|GET k|MULTI|SET k w|DISCARD|GET k|WATCH k|SET k x|MULTI|GET k|EXEC|GET k",
	"PING|SUBSCRIBE c|GET k|PING|UNSUBSCRIBE c|GET k|PING",
	"HELLO 3|GET k|SUBSCRIBE c|GET k|PUBLISH c m|PING|UNSUBSCRIBE c|GET k|HELLO 2|GET k",
	"GET k|MONITOR|GET k|PING|RESET|GET k",
	"HELLO 3|GET k|CLIENT TRACKING ON|GET k|SET k v|GET k|SET k w|CLIENT TRACKING OFF|SET k x|GET k",
	"HELLO 3|CLIENT TRACKING ON OPTIN|GET k|CLIENT CACHING YES|GET k|SET k v|GET k|SET k w|CLIENT TRACKING OFF|GET k",
	"ACL SETUSER reader on nopass ~r:* +get +ping|SET r:k v|AUTH reader x|GET r:k|GET k|SET r:k w|PING|AUTH default x|SET r:k w|GET r:k",
	"GET k|ACL SETUSER default -set|SET k v|GET k|ACL SETUSER default +set|SET k v|GET k",
	"SELECT 1|SET k v|SELECT 0|GET k|SELECT 1|GET k|SELECT 99|GET k",
	"SET k v|CONFIG SET maxmemory 1|SET k w|GET k|LPUSH l a|DEL k|CONFIG SET maxmemory 0|SET k x|GET k",
	"SET k v PX 1|PEXPIREAT k 1|GET k|SET k v|PEXPIRE k -1|GET k|EXISTS k",
	"CONFIG SET slowlog-log-slower-than 0|GET k|SET k v|SLOWLOG LEN|CONFIG SET slowlog-log-slower-than -1|GET k|SLOWLOG LEN",
	"CONFIG SET notify-keyspace-events KEAnm|HELLO 3|SET k v|PSUBSCRIBE __key*|SET k w|SET n v|GET none|PUNSUBSCRIBE|SET m v",
	"CLIENT PAUSE 0|GET k|SET k v|CLIENT UNPAUSE|SET k w|GET k|CLIENT NO-TOUCH on|GET k|OBJECT FREQ k",
	"EVAL return{redis.call('set','k','v'),redis.call('get','k')} 0|GET k|RESET|GET k|QUIT",
}

// timings is what differs from one run to the next in what INFO tells of commands.
var timings = regexp.MustCompile(`usec=\d+,usec_per_call=[\d.]+,`)

// TestPlain: a command is executed without the checks that would find nothing as it is with them: it has the same
// reply, is counted the same, and leaves the same.
func TestPlain(t *testing.T) {
	for _, line := range oddities {
		var got [2]string
		for way := range got {
			h := coretest.New(t)
			c := new(boxed)
			c.Session = h.DB.SessionFor(c, func() {})
			var cmds [][][]byte
			for cmd := range strings.SplitSeq(line, "|") {
				var args [][]byte
				for _, w := range strings.Fields(cmd) {
					args = append(args, []byte(w))
				}
				cmds = append(cmds, args)
			}
			var out resp.Writer
			c.Prefetch(cmds)
			plain := 0
			for _, args := range cmds {
				if way == 1 {
					c.ForgetPlain()
				}
				if c.IsPlain() {
					plain++
				}
				c.Run(args, &out)
				out.Raw([]byte("~ ")) // no reply, or none yet, is one too
			}
			c.Finish(&out)
			if (plain > 0) != (way == 0) {
				t.Errorf("%s: %d commands might be plain", line, plain)
			}
			got[way] = string(out.Buf) + string(c.box)
			c.Close()
			for _, section := range []string{"commandstats", "errorstats", "keyspace"} {
				got[way] += timings.ReplaceAllString(h.Do("INFO", section), "")
			}
			for field := range strings.SplitSeq(h.Do("INFO", "stats"), "\r\n") {
				for _, name := range []string{"keyspace_", "expired_keys", "total_error", "total_commands", "evicted"} {
					if strings.HasPrefix(field, name) {
						got[way] += field + "\n"
					}
				}
			}
			got[way] += h.Do("SLOWLOG", "LEN")
		}
		if got[0] != got[1] {
			t.Errorf("%s: plain\n%q\nand with all checks\n%q", line, got[0], got[1])
		}
	}
}
