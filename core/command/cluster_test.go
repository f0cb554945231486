package command

import (
	"bytes"
	"testing"
)

// TestKeySlot: against what a redis-server 7.0.15 says (CLUSTER KEYSLOT).
func TestKeySlot(t *testing.T) {
	for key, want := range map[string]int{
		"": 0, "123456789": 12739, "foo": 12182, "bar": 5061, "foo{bar}x": 5061, "{bar}": 5061, "{}bar": 6479, "foo{}{bar}": 8363, "foo{{bar}}zap": 4015,
		"foo{bar}{zap}": 5061, "{bar": 4015, "}{bar}": 5061, "\x00\xff{": 3075,
	} {
		if got := KeySlot([]byte(key)); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
}

func TestOneSlot(t *testing.T) {
	for _, tt := range []struct {
		line string
		want bool
	}{
		{"mget {a}1 {a}2", true}, {"mget a b", false}, {"get a", true}, {"ping", true}, {"mset {a}1 b {a}2 b", true}, {"mset a 1 b 2", false},
		{"sintercard 2 a b", false}, {"sintercard 9 a b", true},
	} {
		args := bytes.Fields([]byte(tt.line))
		slot := -1
		if got := Lookup(args[0]).OneSlot(args, &slot); got != tt.want {
			t.Errorf("%s: %v", tt.line, got)
		}
	}
}
