package linear

import (
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
)

// TestModel: what is legal and what is not, in histories written by hand. Each
// line is an operation: client, call, return, commands, ">" and what was said; "?"
// for nothing. A transaction is in brackets, a WATCH with what it saw before it.
func TestModel(t *testing.T) {
	for name, c := range map[string]struct {
		legal bool
		lines string
	}{
		"in turn":            {true, "1 2 SET alpha x > \"OK\"\n3 4 GET alpha > \"x\""},
		"stale read":         {false, "1 2 SET alpha x > \"OK\"\n3 4 GET alpha > (nil)"},
		"concurrent":         {true, "1 4 SET alpha x > \"OK\"\n2 3 GET alpha > (nil)"},
		"back in time":       {false, "1 9 SET alpha x > \"OK\"\n2 3 GET alpha > \"x\"\n4 5 GET alpha > (nil)"},
		"lost update":        {false, "1 4 INCR n1 > 1\n2 3 INCR n1 > 1"},
		"counted":            {true, "1 4 INCR n1 > 2\n2 3 INCR n1 > 1"},
		"moved":              {true, "1 2 SET alpha x > \"OK\"\n3 4 RENAME alpha beta > \"OK\"\n5 6 GET beta > \"x\"\n7 8 GET alpha > (nil)"},
		"in both places":     {false, "1 2 SET alpha x > \"OK\"\n3 9 RENAME alpha beta > \"OK\"\n4 5 GET beta > \"x\"\n6 7 GET alpha > \"x\""},
		"half of it":         {false, "1 9 [ SET alpha x ; SET beta x ] > \"OK\" \"OK\"\n2 3 GET alpha > \"x\"\n4 5 GET beta > (nil)"},
		"whole":              {true, "1 9 [ SET alpha x ; SET beta x ] > \"OK\" \"OK\"\n2 3 GET alpha > \"x\"\n4 5 GET beta > \"x\""},
		"watched":            {true, "1 2 SET n1 1 > \"OK\"\n3 4 \"1\" n1 [ SET n1 2 ] > \"OK\""},
		"watched in vain":    {false, "1 2 SET n1 1 > \"OK\"\n3 4 SET n1 5 > \"OK\"\n5 6 \"1\" n1 [ SET n1 2 ] > \"OK\""},
		"not executed":       {true, "1 2 SET n1 1 > \"OK\"\n3 4 SET n1 5 > \"OK\"\n5 6 \"1\" n1 [ SET n1 2 ] > (aborted)\n7 8 GET n1 > \"5\""},
		"in flight, done":    {true, "1 4 SET alpha x ?\n5 6 GET alpha > \"x\""},
		"in flight, not":     {true, "1 4 SET alpha x ?\n5 6 GET alpha > (nil)"},
		"done later":         {false, "1 4 SET alpha x ?\n5 6 GET alpha > (nil)\n7 8 GET alpha > \"x\""},
		"acknowledged, gone": {false, "1 2 SET alpha x > \"OK\"\n3 4 SET beta y ?\n5 6 GET alpha > (nil)"},
	} {
		h := New()
		for line := range strings.Lines(c.lines) {
			h.ops = append(h.ops, parse(t, line))
		}
		if legal, err := h.Linearizable(); err != nil || legal != c.legal {
			t.Errorf("%s: %v, %v", name, legal, err)
		}
	}
}

func parse(t *testing.T, line string) porcupine.Operation {
	t.Helper()
	did, said, known := strings.Cut(strings.TrimSpace(line), " > ")
	words := strings.Fields(strings.TrimSuffix(did, " ?"))
	op := porcupine.Operation{Call: int64(words[0][0]), Return: int64(words[1][0])}
	words = words[2:]
	var c call
	if words[0] != "[" && strings.ContainsAny(words[0], `"(`) {
		c.saw, c.watched, words = words[0], words[1], words[2:]
	}
	if c.tx = words[0] == "["; c.tx {
		words = words[1 : len(words)-1]
	}
	for cmd := range strings.SplitSeq(strings.Join(words, " "), " ; ") {
		c.cmds = append(c.cmds, strings.Fields(cmd))
	}
	a := answer{unknown: !known, aborted: said == "(aborted)"}
	if known && !a.aborted {
		a.replies = strings.Fields(said)
	}
	op.Input, op.Output = c, a
	return op
}
