package script

import (
	"errors"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

// fakeHost is an engine that answers ECHO and PING.
type fakeHost struct {
	ticks int
	limit int // of ticks; 0 for none
	logs  []string
}

var errKilled = errors.New("Script killed by user with SCRIPT KILL...")

func (h *fakeHost) Call(args [][]byte, proto int) ([]byte, string) {
	switch strings.ToLower(string(args[0])) {
	case "ping":
		return []byte("+PONG\r\n"), ""
	case "eval":
		return nil, "This Redis command is not allowed from script"
	case "echo":
		if len(args) != 2 {
			return nil, "Wrong number of args calling Redis command from script"
		}
		w := resp.Writer{Proto: proto}
		w.Bulk(args[1])
		return w.Buf, ""
	case "raw": // the reply itself
		return args[1], ""
	}
	return nil, "Unknown Redis command called from script"
}

func (h *fakeHost) Permitted(args [][]byte) (bool, bool) { return true, string(args[0]) != "nosuch" }
func (h *fakeHost) Log(_ int, msg string)                { h.logs = append(h.logs, msg) }
func (h *fakeHost) Tick() error {
	if h.ticks++; h.limit > 0 && h.ticks > h.limit {
		return errKilled
	}
	return nil
}

func eval(t testing.TB, s *Scripts, h Host, src string, proto int) string {
	t.Helper()
	out := resp.Writer{Proto: proto}
	sc, err := s.Load([]byte(src))
	if err != nil {
		return "-ERR " + err.Error() + "\r\n"
	}
	s.Run(h, sc, nil, nil, &out)
	return string(out.Buf)
}

func newScripts() *Scripts { return NewScripts(func() bool { return false }) }

func TestSmoke(t *testing.T) {
	s := newScripts()
	for src, want := range map[string]string{
		`return 1`:                                          ":1\r\n",
		`return "a" .. 1/3 .. "b"`:                          "$18\r\na0.33333333333333b\r\n",
		`return redis.call('ping')`:                         "+PONG\r\n",
		`return server.call('ping')`:                        "+PONG\r\n", // Valkey's name
		`return {server == redis, redis.server == nil}`:     "*2\r\n:1\r\n:1\r\n",
		`return {1,2,{3,'x'},nil,4}`:                        "*3\r\n:1\r\n:2\r\n*2\r\n:3\r\n$1\r\nx\r\n",
		`return redis.call('nosuch')`:                       "-ERR Unknown Redis command called from script script: SHA, on @user_script:1.\r\n",
		"\n\nreturn foo":                                    "-ERR user_script:3: Script attempted to access nonexistent global variable 'foo' script: SHA, on @user_script:3.\r\n",
		`foo = 1`:                                           "-ERR user_script:1: Attempt to modify a readonly table script: SHA, on @user_script:1.\r\n",
		`redis.call = 1`:                                    "-ERR user_script:1: Attempt to modify a readonly table script: SHA, on @user_script:1.\r\n",
		`local a; return a.b`:                               "-ERR user_script:1: attempt to index local 'a' (a nil value) script: SHA, on @user_script:1.\r\n",
		`return redis.nosuch()`:                             "-ERR user_script:1: attempt to call field 'nosuch' (a nil value) script: SHA, on @user_script:1.\r\n",
		`return tostring(cjson.null)`:                       "$15\r\nuserdata: (nil)\r\n",
		`error('x')`:                                        "-ERR user_script:1: x script: SHA, on @user_script:1.\r\n",
		`return cjson.encode({1,2,{a='b/c'}})`:              "$18\r\n[1,2,{\"a\":\"b\\/c\"}]\r\n",
		`return {pcall(function() error({err='X y'}) end)}`: "*2\r\n$-1\r\n$3\r\nX y\r\n",
	} {
		got := eval(t, s, &fakeHost{}, src, 2)
		want = strings.ReplaceAll(want, "SHA", Digest([]byte(src)))
		if got != want {
			t.Errorf("%s\n got %q\nwant %q", src, got, want)
		}
	}
	if got := eval(t, s, &fakeHost{limit: 3}, `while true do pcall(function() while true do end end) end`, 2); !strings.HasPrefix(got, "-ERR Script killed") {
		t.Errorf("killed: %q", got)
	}
}
