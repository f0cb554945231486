package command

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/spillwaydb/spillway/core/keyspace"
	"github.com/spillwaydb/spillway/core/rdb"
	"github.com/spillwaydb/spillway/core/resp"
)

// Function libraries are kept: they are in a checkpoint, in the log and in what is
// imported and exported. They are not executed, and no client can load one: FUNCTION
// is not in the table, and LookupLogged finds it for those who apply what was logged.

// functionCommand is FUNCTION as a log has it. Every shard is locked: libraries are
// of none, and change in order with everything else.
var functionCommand = &Command{
	Name: "function", Arity: -2, Flags: Write | DenyOOM | NoScript | AllShards,
	Sub: []*Command{
		{Name: "function|delete", Arity: 3, Flags: Write | NoScript | AllShards},
		{Name: "function|flush", Arity: -2, Flags: Write | NoScript | AllShards},
		{Name: "function|load", Arity: -3, Flags: Write | DenyOOM | NoScript | AllShards},
		{Name: "function|restore", Arity: -3, Flags: Write | DenyOOM | NoScript | AllShards},
	},
}

func init() {
	functionCommand.finish(handlers{
		"function|delete": functionDelete, "function|flush": functionFlush,
		"function|load": functionLoad, "function|restore": functionRestore,
	})
}

// LookupLogged is Lookup for what is applied and not called: it also finds what no
// client can call, and logs, rewrites and files of Redis hold.
func LookupLogged(name []byte) *Command {
	if is(name, functionCommand.Name) {
		return functionCommand
	}
	return Lookup(name)
}

// LoadLibrary adds a function library by its source, which is copied, to a keyspace
// that is being loaded. It locks shard 0.
func LoadLibrary(ks *keyspace.Keyspace, code []byte) error {
	s := ks.Shard(0)
	s.Lock()
	defer s.Unlock()
	_, err := addLibrary(ks, code, false)
	return err
}

// addLibrary is LoadLibrary with the lock held.
func addLibrary(ks *keyspace.Keyspace, code []byte, replace bool) (name string, err error) {
	name, err = libraryName(code)
	if err != nil {
		return "", err
	}
	if _, there := ks.Library(name); there && !replace {
		return "", fmt.Errorf("Library '%s' already exists", name)
	}
	ks.PutLibrary(keyspace.Library{Name: name, Code: bytes.Clone(code)})
	return name, nil
}

// libraryName returns what the first line of a library says: "#!lua name=mylib". The
// errors are Redis's.
func libraryName(code []byte) (string, error) {
	if !bytes.HasPrefix(code, []byte("#!")) {
		return "", errors.New("Missing library metadata")
	}
	line, _, ended := bytes.Cut(code, []byte("\n"))
	words, ok := resp.SplitArgs(line, nil)
	if !ended || !ok {
		return "", errors.New("Invalid library metadata")
	}
	name, named := "", false
	for _, w := range words[1:] {
		const key = "name="
		if len(w) < len(key) || !is(w[:len(key)], key) {
			return "", fmt.Errorf("Invalid metadata value given: %s", w)
		}
		if named {
			return "", errors.New("Invalid metadata value, name argument was given multiple times")
		}
		name, named = string(w[len(key):]), true
	}
	switch {
	case !named:
		return "", errors.New("Library name was not given")
	case name == "" || strings.ContainsFunc(name, notInName):
		return "", errors.New("Library names can only contain letters, numbers, or underscores(_) and must be at least one character long")
	}
	return name, nil
}

func notInName(r rune) bool {
	return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

func functionLoad(c *Ctx) {
	args, replace := c.Args[2:], false
	for len(args) > 1 {
		if !is(args[0], "replace") {
			c.Out.Error("ERR Unknown option given: " + string(args[0]))
			return
		}
		args, replace = args[1:], true
	}
	name, err := addLibrary(c.KS, args[0], replace)
	if err != nil {
		c.Out.Error("ERR " + err.Error())
		return
	}
	c.Out.BulkString(name)
}

func functionDelete(c *Ctx) {
	if !c.KS.DeleteLibrary(string(c.Args[2])) {
		c.Out.Error("ERR Library not found")
		return
	}
	c.Out.OK()
}

func functionFlush(c *Ctx) {
	if n := len(c.Args); n > 3 || n == 3 && !is(c.Args[2], "sync") && !is(c.Args[2], "async") {
		c.Out.Error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
		return
	}
	c.KS.SetLibraries(nil)
	c.Out.OK()
}

func functionRestore(c *Ctx) {
	policy := []byte("append")
	if len(c.Args) > 3 {
		policy = c.Args[3]
	}
	if len(c.Args) > 4 || !is(policy, "append") && !is(policy, "replace") && !is(policy, "flush") {
		c.Out.Error("ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
		return
	}
	payload, err := rdb.OpenDump(c.Args[2])
	if err != nil {
		c.Out.Error("ERR DUMP payload version or checksum are wrong")
		return
	}
	codes, err := rdb.DecodeFunctions(payload)
	if err != nil {
		c.Out.Error("ERR failed loading functions")
		return
	}
	before := c.KS.Libraries()
	if is(policy, "flush") {
		c.KS.SetLibraries(nil)
	}
	for _, code := range codes {
		if _, err := addLibrary(c.KS, code, is(policy, "replace")); err != nil {
			c.KS.SetLibraries(before) // all of them or none
			c.Out.Error("ERR " + err.Error())
			return
		}
	}
	c.Out.OK()
}
