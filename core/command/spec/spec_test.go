package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

// TestFresh: table_gen.go is what these files say.
func TestFresh(t *testing.T) {
	commands, err := load(files)
	if err != nil {
		t.Fatal(err)
	}
	want, err := emit(commands)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../table_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("core/command/table_gen.go is not what the files say: go generate ./core/command")
	}
}

const good = `{"GET": {"summary": "S.", "since": "1.0.0", "group": "string", "complexity": "O(1)", "arity": 2, "command_flags": ["FAST"],
	"key_specs": [{"flags": ["RO"], "begin_search": {"index": {"pos": 1}}, "find_keys": {"range": {"lastkey": 0, "step": 1, "limit": 0}}}],
	"arguments": [{"name": "key", "type": "key", "key_spec_index": 0}]}}`

func TestBadFilesAreRefused(t *testing.T) {
	for _, c := range []struct{ old, replacement, want string }{
		{"", "", ""},
		{`"arity"`, `"arty"`, "unknown field"},
		{`"GET"`, `"SET"`, "set.json"},
		{`"GET": {`, `"GET": {"container": "NOSUCH",`, "nosuch-get.json"},
		{`"S."`, `""`, "summary is missing"},
		{`"arity": 2,`, ``, "arity is missing"},
		{`1.0.0`, `one`, "no version"},
		{`FAST`, `QUICK`, "QUICK"},
		{`["RO"]`, `["READ"]`, "READ"},
		{`["RO"]`, `[]`, "no flags"},
		{`{"range"`, `{"keynum": {"keynumidx": 0, "firstkey": 1, "step": 1}, "range"`, "one way"},
		{`{"index": {"pos": 1}}`, `{"unknown": {}}`, "both unknown"},
		{`"key_spec_index": 0`, `"key_spec_index": 1`, "no key specification 1"},
		{`, "key_spec_index": 0`, ``, "key_spec_index"},
		{`"type": "key"`, `"type": "kay"`, "known type"},
		{`"type": "key", "key_spec_index": 0`, `"type": "oneof"`, "have arguments"},
		{`"type": "key", "key_spec_index": 0`, `"type": "string"`, "no argument is of key specification 0"},
		{`"type": "key", "key_spec_index": 0`, `"type": "pure-token"`, "not named"},
		{`"arity"`, `"doc_flags": ["DEPRECATED"], "arity"`, "go together"},
		{`{"GET"`, `{"SET": null, "GET"`, "2 commands"},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("%q is not there", c.old)
		}
		text := strings.Replace(good, c.old, c.replacement, 1)
		commands, err := load(fstest.MapFS{"get.json": {Data: []byte(text)}})
		if err == nil {
			_, err = emit(commands)
		}
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s for %s: %v", c.replacement, c.old, err)
		}
	}
	if _, err := load(fstest.MapFS{"a-get.json": {Data: []byte(strings.Replace(good, `{"summary"`, `{"container": "A", "summary"`, 1))}}); err == nil {
		t.Error("a subcommand of nothing is loaded")
	}
}
