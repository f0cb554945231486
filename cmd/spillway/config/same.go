package config

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spillwaydb/spillway/plugins/host"
)

// identity is everything that a stage or a sink is made of.
type identity struct {
	Kind, Name string
	Options    json.RawMessage `json:",omitempty"`
	FS         *Filesystem     `json:",omitempty"`
	Use        *Use            `json:",omitempty"`
	Plugin     *host.Spec      `json:",omitempty"`
	Timeout    time.Duration   // only where what is made knows it
	Files      []string        // what the files hold that the options name
}

// Identity tells stages apart: two of the same one need not be made twice. It does not
// show what it is made of.
func (s *Stage) Identity(plugins []Plugin) string {
	return identity{Kind: "stage", Name: s.Name, Options: s.Options}.with(s.Plugin, plugins).digest()
}

// Identity tells sinks apart, as that of a [Stage] does. What a pipeline makes of the
// sink, that it is required or what is kept there, is no part of it.
func (m *Mirror) Identity(plugins []Plugin) string {
	id := identity{Kind: m.Kind, Name: m.Name, Options: m.Options}
	switch {
	case m.Plugin != nil || m.Make != nil:
		id.Timeout = m.Timeout
	default:
		id.FS = &m.FS
	}
	return id.with(m.Plugin, plugins).digest()
}

// with adds what a plugin's is.
func (id identity) with(u *Use, plugins []Plugin) identity {
	if id.Use = u; u != nil {
		if i := slices.IndexFunc(plugins, func(p Plugin) bool { return p.Name == u.Plugin }); i >= 0 {
			id.Plugin = &plugins[i].Spec
		}
	}
	return id
}

func (id identity) digest() string {
	var named map[string]any
	_ = json.Unmarshal(id.Options, &named) // no options name no files
	for name := range filePaths {
		path, _ := named[name].(string)
		if path == "" {
			continue
		}
		if b, err := os.ReadFile(path); err == nil {
			id.Files = append(id.Files, fmt.Sprintf("%s %x", name, sha256.Sum256(b)))
		}
	}
	slices.Sort(id.Files)
	b, err := json.Marshal(id)
	if err != nil {
		panic(fmt.Sprintf("config: %v", err)) // JSON, strings and numbers
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}
