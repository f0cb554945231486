package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// ourName is what this daemon is called in reports.
const ourName = "spillway"

// spec is a server that can be run: ours, or one that takes redis-server's options.
type spec struct {
	name    string
	command []string // without the options; the program's path is absolute
}

// specs are the servers of a run, ours first. Without peers it is redis-server, which
// then has to be there.
func specs(ours string, peers []string) ([]spec, error) {
	if len(peers) == 0 {
		if _, err := exec.LookPath("redis-server"); err != nil {
			return nil, errors.New("there is no redis-server to compare with: install it, have make bench-peers fetch some, or name one with --peer name=command")
		}
		peers = []string{"redis=redis-server"}
	}
	list := []spec{{ourName, []string{ours, "serve"}}}
	for _, p := range peers {
		name, command, ok := strings.Cut(p, "=")
		words := strings.Fields(command)
		if !ok || name == "" || len(words) == 0 {
			return nil, fmt.Errorf("--peer %q: want name=command", p)
		}
		if strings.ContainsAny(name, "/|<>&\"") {
			return nil, fmt.Errorf("--peer %q: the name becomes a directory's and a column's, and has none of /|<>&\"", p)
		}
		for _, s := range list {
			if s.name == name {
				return nil, fmt.Errorf("--peer %q: there are two servers %s", p, name)
			}
		}
		list = append(list, spec{name, words})
	}
	for _, s := range list {
		path, err := exec.LookPath(s.command[0])
		if err == nil {
			path, err = filepath.Abs(path)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		s.command[0] = path
	}
	return list, nil
}

// options are what all servers of a fleet are started with.
type options struct {
	scenario   string // names the directory of their data
	appendOnly string
	fsync      string
	pinned     bool // one processor for the server
	tls        bool // a second port, for TLS
	clients    int  // connections there will be
}

// args are a server's options. Only those that every server of the family has.
func (o options) args(dir, port, tlsPort string, cert certificate) []string {
	args := []string{"--dir", dir, "--port", port, "--save", "", "--appendonly", o.appendOnly, "--appendfsync", o.fsync}
	if o.tls {
		args = append(args, "--tls-port", tlsPort, "--tls-cert-file", cert.file, "--tls-key-file", cert.key,
			"--tls-ca-cert-file", cert.file, "--tls-auth-clients", "no")
	}
	if o.clients > usualClients {
		args = append(args, "--maxclients", fmt.Sprint(o.clients+spareClients))
	}
	return args
}

// usualClients is how many connections a server of the family takes unasked, less
// those that are ours.
const (
	usualClients = 9_000
	spareClients = 100
)
