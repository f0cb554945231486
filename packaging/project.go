package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// project is where the project is published, as the module's path says it.
type project struct{ host, owner, name string }

// project reads it from go.mod, so that nothing else has to be changed where a fork
// publishes packages of its own.
func (r *release) project() (p project, err error) {
	b, err := os.ReadFile(filepath.Join(r.root, "go.mod"))
	if err != nil {
		return p, err
	}
	for line := range strings.Lines(string(b)) {
		module, ok := strings.CutPrefix(line, "module ")
		if !ok {
			continue
		}
		if parts := strings.Split(strings.TrimSpace(module), "/"); len(parts) == 3 {
			return project{parts[0], parts[1], parts[2]}, nil
		}
	}
	return p, fmt.Errorf("go.mod: no module HOST/OWNER/NAME")
}

// homepage is where people look for it.
func (p project) homepage() string { return "https://" + p.host + "/" + p.owner + "/" + p.name }

// maintainer is whom a package names: the owner, at the address that GitHub gives every
// account, and that is nobody's mailbox. Reports go to the homepage.
func (p project) maintainer() string {
	return "The Spillway authors <" + p.owner + "@users.noreply." + p.host + ">"
}
