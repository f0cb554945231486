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

// Function libraries are kept here: they are in a checkpoint, in the log and in what is
// imported and exported. What compiles and executes them is the session's: a client's
// FUNCTION is checked there, and then changes the list by the handlers that
// LookupLogged finds, as whoever applies a log does.

var functionHandlers = handlers{"function|help": help, "script|help": help}

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

// LookupLogged is Lookup for what is applied and not called: FUNCTION as logs, rewrites
// and files of Redis hold it, which compiles nothing, and REPLCONF, which is where
// another server is followed.
func LookupLogged(name []byte) *Command {
	if is(name, followingCommand.Name) {
		return followingCommand
	}
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
	name, err = LibraryName(code)
	if err != nil {
		return "", err
	}
	if _, there := ks.Library(name); there && !replace {
		return "", fmt.Errorf("Library '%s' already exists", name)
	}
	ks.PutLibrary(keyspace.Library{Name: name, Code: bytes.Clone(code)})
	return name, nil
}

// LibraryName returns what the first line of a library says: "#!lua name=mylib". The
// errors are Redis's.
func LibraryName(code []byte) (string, error) {
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
	if engine := string(words[0][2:]); !strings.EqualFold(engine, "lua") {
		return "", fmt.Errorf("Engine '%s' not found", engine)
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
	c.dirty++
	c.Out.BulkString(name)
}

func functionDelete(c *Ctx) {
	if !c.KS.DeleteLibrary(string(c.Args[2])) {
		c.Out.Error("ERR Library not found")
		return
	}
	c.dirty++
	c.Out.OK()
}

func functionFlush(c *Ctx) {
	if len(c.Args) > 3 {
		c.Out.Errorf("ERR unknown subcommand or wrong number of arguments for '%s'. Try FUNCTION HELP.", clip(c.Args[1], 128))
		return
	}
	if n := len(c.Args); n == 3 && !is(c.Args[2], "sync") && !is(c.Args[2], "async") {
		c.Out.Error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
		return
	}
	c.KS.SetLibraries(nil)
	c.dirty++
	c.Out.OK()
}

// RestoredLibraries returns what FUNCTION RESTORE is asked for: the policy, in lower
// case, and the sources of the libraries. The error's text is Redis's.
func RestoredLibraries(args [][]byte) (policy string, codes [][]byte, err error) {
	policy = "append"
	if len(args) > 3 {
		policy = strings.ToLower(string(args[3]))
	}
	switch {
	case len(args) > 4:
		return "", nil, fmt.Errorf("unknown subcommand or wrong number of arguments for '%s'. Try FUNCTION HELP.", clip(args[1], 128))
	case policy != "append" && policy != "replace" && policy != "flush":
		return "", nil, errors.New("Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.")
	}
	payload, err := rdb.OpenDump(args[2])
	if err != nil {
		return "", nil, errors.New("DUMP payload version or checksum are wrong")
	}
	if codes, err = rdb.DecodeFunctions(payload); err != nil {
		return "", nil, errors.New("failed loading the given functions payload")
	}
	return policy, codes, nil
}

// DumpLibraries is the payload of FUNCTION DUMP.
func DumpLibraries(ks *keyspace.Keyspace) []byte {
	var codes [][]byte
	for _, l := range ks.Libraries() {
		codes = append(codes, l.Code)
	}
	return rdb.SealDump(rdb.EncodeFunctions(codes))
}

func functionRestore(c *Ctx) {
	policy, codes, err := RestoredLibraries(c.Args)
	if err != nil {
		c.Out.Error("ERR " + err.Error())
		return
	}
	before := c.KS.Libraries()
	if policy == "flush" {
		c.KS.SetLibraries(nil)
	}
	for _, code := range codes {
		if _, err := addLibrary(c.KS, code, policy == "replace"); err != nil {
			c.KS.SetLibraries(before) // all of them or none
			c.Out.Error("ERR " + err.Error())
			return
		}
	}
	c.dirty++
	c.Out.OK()
}
