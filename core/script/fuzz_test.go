package script

import (
	"runtime"
	"strings"
	"testing"

	"github.com/spillwaydb/spillway/core/resp"
)

// FuzzBridge gives bytes of any kind to everything that takes them from outside: source,
// JSON, MessagePack, structures, patterns, formats, and a reply. Nothing panics, runs for
// ever or takes all memory.
func FuzzBridge(f *testing.F) {
	for _, s := range []string{
		"return 1", "{\"a\":[1,2,null]}", "\xdd\xff\xff\xff\xff", "\x82\xa1a\x01\xa1b\xc0", "c0s>!8i16", "%5.3d%s%q", "(a*(.)%1)[^b]-%b()", "*2\r\n$1\r\na\r\n%1\r\n+k\r\n_\r\n",
		strings.Repeat("[", 2000), strings.Repeat("\x91", 8000), strings.Repeat("(", 500), "return " + strings.Repeat("a.", 20000) + "b", "local t = {} t[2^24] = 1 return #t",
		"return " + strings.Repeat("not ", 300) + "1", "x = " + strings.Repeat("1+", 30000) + "1", "return string.rep('x', 1e10)", "while true do end", "local function f() return pcall(f) end return f()",
		"for i = 1, 1e9 do local t = {} for j = 1, 1e5 do t[j] = j end end", "return (string.rep('a', 30)):find(string.rep('a?', 30) .. string.rep('a', 30))",
		"local s = 'x' while true do s = s .. s end", "coroutine.wrap(function() while true do end end)()", "local function r() return coroutine.wrap(r)() end return r()",
		"return setmetatable({}, {__index = function(t, k) return t[k] end}).x", "=4\r\ntxt:\r\n", "*-1\r\n", "$5\r\nab",
	} {
		f.Add([]byte(s))
	}
	s, given := newScripts(), newScripts()
	s.growth, given.growth = 64<<20, 64<<20
	const all = `local x = ARGV[1]
		local out = {}
		for _, f in ipairs{cjson.decode, cmsgpack.unpack, loadstring, tonumber, redis.sha1hex} do out[#out+1] = tostring((pcall(f, x))) end
		out[#out+1] = tostring((pcall(struct.unpack, x, x)))
		out[#out+1] = tostring((pcall(struct.pack, x, 1, 2, x, x)))
		out[#out+1] = tostring((pcall(string.format, x, 1, x, 2)))
		out[#out+1] = tostring((pcall(string.find, x, x)))
		out[#out+1] = tostring((pcall(string.gsub, x, x, x)))
		out[#out+1] = tostring((pcall(redis.call, 'raw', x)))
		return out`
	f.Fuzz(func(t *testing.T, b []byte) {
		sc, err := given.Load([]byte(all))
		if err != nil {
			t.Fatal(err)
		}
		out := resp.Writer{Proto: 3}
		given.Run(&fakeHost{limit: 20}, sc, nil, [][]byte{b}, &out)
		out.Taken()
		if sc, err = s.Load(b); err == nil {
			s.Run(&fakeHost{limit: 10}, sc, nil, nil, &out)
		}
		s.Flush()
	})
}

// TestMemoryIsBounded: what would take all memory is an error of the script, which says
// so, and the interpreter serves the next.
func TestMemoryIsBounded(t *testing.T) {
	s := newScripts()
	s.growth = 64 << 20
	for _, src := range []string{
		"return #string.rep('x', 1e10)", "local s = string.rep('x', 1e6) while true do s = s .. s end", "return #table.concat({string.rep('x', 3e7), string.rep('y', 3e7)})",
		"local t = {} while true do t[#t+1] = string.rep('x', 1e6) end", "return (string.rep('x', 1e5)):gsub('.', string.rep('y', 1000))",
	} {
		runtime.GC() // what is dead counts until it is collected
		if got := eval(t, s, &fakeHost{}, src, 2); !strings.Contains(got, errMemory) {
			t.Errorf("%s: %.200q", src, got)
		}
	}
	if got := eval(t, s, &fakeHost{}, "return 'fine'", 2); got != "$4\r\nfine\r\n" {
		t.Error(got)
	}
}
