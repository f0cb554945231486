package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// The suite starts src/redis-server with a redis.conf. Where the daemon is tested,
// that is a link to this program, which then is the stand-in: it says what the
// daemon would need to be told, and becomes the daemon. What the daemon has no
// parameter for is left out: it changes nothing there.

// Variables of the environment that tell the stand-in about the daemon.
const (
	envDaemon = "COMPAT_DAEMON" // its path
	envFlags  = "COMPAT_FLAGS"  // the flags of its serve, separated by spaces
)

// standInName is how this program is called when it is the stand-in.
const standInName = "redis-server"

// directives are what a redis.conf says: the values of each parameter, in order.
type directives struct {
	names  []string
	values map[string][]string
}

// set notes a line. What Redis takes more than once (save points, users, limits of
// a class of clients) is added, anything else replaced; no save points at all are
// said by an empty one.
func (d *directives) set(name string, words []string) {
	name = strings.ToLower(name)
	if d.values == nil {
		d.values = map[string][]string{}
	}
	if !slices.Contains(d.names, name) {
		d.names = append(d.names, name)
	}
	value := strings.Join(words, " ")
	had := d.values[name]
	switch {
	case name == "user", name == "client-output-buffer-limit", name == "save" && value != "" && !slices.Equal(had, []string{""}):
		d.values[name] = append(had, value)
	default:
		d.values[name] = []string{value}
	}
}

// readConf adds the lines of a redis.conf.
func (d *directives) readConf(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		words, err := confWords(line)
		if err != nil {
			return fmt.Errorf("%s: %q: %w", name, line, err)
		}
		d.set(words[0], words[1:])
	}
	return lines.Err()
}

// readArgs adds the parameters of a command line, as lines behind those of the file.
func (d *directives) readArgs(args []string) error {
	for i := 0; i < len(args); {
		words, err := confWords(args[i])
		if err != nil || len(words) == 0 {
			return fmt.Errorf("argument %q: %w", args[i], err)
		}
		for i++; i < len(args) && !strings.HasPrefix(args[i], "--"); i++ {
			words = append(words, args[i])
		}
		d.set(strings.TrimPrefix(words[0], "--"), words[1:])
	}
	return nil
}

var errQuote = errors.New("a quote is not closed")

// confWords splits a line of a redis.conf at spaces outside of quotes.
func confWords(line string) (words []string, err error) {
	for line = strings.TrimLeft(line, " \t"); line != ""; line = strings.TrimLeft(line, " \t") {
		var word string
		switch line[0] {
		case '"':
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, errQuote
			}
			line = line[len(quoted):]
			if word, err = strconv.Unquote(quoted); err != nil {
				return nil, err
			}
		case '\'':
			var ok bool
			if word, line, ok = strings.Cut(line[1:], "'"); !ok {
				return nil, errQuote
			}
		default:
			end := strings.IndexAny(line, " \t")
			if end < 0 {
				end = len(line)
			}
			word, line = line[:end], line[end:]
		}
		words = append(words, word)
	}
	return words, nil
}

// command is what starts the daemon by these directives, with the text of its
// plugins.hcl, which is to be at config. Where a redis.conf does not say what to
// listen on, it is what Redis does.
func (d *directives) command(daemon, config string, flags []string) (args []string, hcl string) {
	for _, byDefault := range [][]string{{"port", "6379"}, {"bind", "*", "-::*"}} {
		if _, ok := d.values[byDefault[0]]; !ok {
			d.set(byDefault[0], byDefault[1:])
		}
	}
	args = []string{daemon, "serve", "--config", config}
	for _, name := range d.names {
		if slices.Contains(flags, "--"+name) {
			args = append(args, "--"+name, strings.Join(d.values[name], " "))
		}
	}
	var b strings.Builder
	for _, user := range d.values["user"] {
		name, rules, _ := strings.Cut(user, " ")
		fmt.Fprintf(&b, "user %q { rules = [", name)
		for _, r := range strings.Fields(rules) {
			fmt.Fprintf(&b, "%q, ", r)
		}
		b.WriteString("] }\n")
	}
	return args, b.String()
}

// standIn becomes the daemon. The suite looks for the number of the process in what
// it prints, and for messages of the log, which the daemon writes to stderr.
func standIn(args []string) error {
	var d directives
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		if err := d.readConf(args[0]); err != nil {
			return err
		}
		args = args[1:]
	}
	if err := d.readArgs(args); err != nil {
		return err
	}
	dir := "."
	if v := d.values["dir"]; len(v) > 0 {
		dir = v[0]
	}
	if err := os.Chdir(dir); err != nil { // as Redis does; files are named relative to it
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	d.set("dir", []string{dir})
	config := filepath.Join(dir, fmt.Sprintf("plugins-%d.hcl", os.Getpid()))
	command, hcl := d.command(os.Getenv(envDaemon), config, strings.Fields(os.Getenv(envFlags)))
	if err := os.WriteFile(config, []byte(hcl), 0o600); err != nil {
		return err
	}
	fmt.Printf("this is the stand-in for redis-server, PID: %d\n", os.Getpid())
	if err := syscall.Dup2(1, 2); err != nil {
		return err
	}
	return syscall.Exec(command[0], command, os.Environ())
}
