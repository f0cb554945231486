package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

// spec is one file: what is known about a command or a subcommand.
type spec struct {
	Container       string      `json:"container"` // of a subcommand, its command
	Summary         string      `json:"summary"`
	Since           string      `json:"since"`
	Group           string      `json:"group"`
	Complexity      string      `json:"complexity"`
	History         [][2]string `json:"history"`
	DocFlags        []string    `json:"doc_flags"`
	DeprecatedSince string      `json:"deprecated_since"`
	ReplacedBy      string      `json:"replaced_by"`
	Arity           int         `json:"arity"`
	CommandFlags    []string    `json:"command_flags"`
	ExecutorFlags   []string    `json:"executor_flags"`
	ACLCategories   []string    `json:"acl_categories"`
	CommandTips     []string    `json:"command_tips"`
	KeySpecs        []keySpec   `json:"key_specs"`
	Arguments       []argument  `json:"arguments"`

	name string  // in lower case, "config|get" of a subcommand
	subs []*spec // of a container, by name
}

// keySpec is one key specification.
type keySpec struct {
	Notes       string   `json:"notes"`
	Flags       []string `json:"flags"`
	BeginSearch struct {
		Index *struct {
			Pos int `json:"pos"`
		} `json:"index"`
		Keyword *struct {
			Keyword   string `json:"keyword"`
			StartFrom int    `json:"startfrom"`
		} `json:"keyword"`
		Unknown *struct{} `json:"unknown"`
	} `json:"begin_search"`
	FindKeys struct {
		Range *struct {
			LastKey int `json:"lastkey"`
			Step    int `json:"step"`
			Limit   int `json:"limit"`
		} `json:"range"`
		KeyNum *struct {
			KeyNumIdx int `json:"keynumidx"`
			FirstKey  int `json:"firstkey"`
			Step      int `json:"step"`
		} `json:"keynum"`
		Unknown *struct{} `json:"unknown"`
	} `json:"find_keys"`
}

// argument is one argument, or a choice or sequence of others.
type argument struct {
	Name            string     `json:"name"`
	Type            string     `json:"type"`
	Token           string     `json:"token"`
	KeySpecIndex    *int       `json:"key_spec_index"`
	Optional        bool       `json:"optional"`
	Multiple        bool       `json:"multiple"`
	MultipleToken   bool       `json:"multiple_token"`
	Since           string     `json:"since"`
	DeprecatedSince string     `json:"deprecated_since"`
	Arguments       []argument `json:"arguments"`
}

// load reads every file and puts subcommands into their containers. The
// commands are in the order of their names.
func load(files fs.FS) ([]*spec, error) {
	names, err := fs.Glob(files, "*.json")
	if err != nil {
		return nil, err
	}
	all := map[string]*spec{}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		s, err := parse(name, data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all[s.name] = s
	}
	var top []*spec
	for _, s := range all {
		if s.Container == "" {
			top = append(top, s)
			continue
		}
		c := all[strings.ToLower(s.Container)]
		if c == nil {
			return nil, fmt.Errorf("%s: there is no %s.json for its container", s.name, strings.ToLower(s.Container))
		}
		c.subs = append(c.subs, s)
	}
	byName := func(a, b *spec) int { return strings.Compare(a.name, b.name) }
	slices.SortFunc(top, byName)
	for _, s := range top {
		slices.SortFunc(s.subs, byName)
	}
	return top, nil
}

// parse reads one file, which holds one command under its name.
func parse(file string, data []byte) (*spec, error) {
	var content map[string]*spec
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&content); err != nil {
		return nil, err
	}
	if len(content) != 1 {
		return nil, fmt.Errorf("it holds %d commands, not one", len(content))
	}
	for name, s := range content {
		if s == nil {
			return nil, fmt.Errorf("%s is null", name)
		}
		s.name = strings.ToLower(name)
		want := s.name
		if s.Container != "" {
			want = strings.ToLower(s.Container) + "-" + s.name
			s.name = strings.ToLower(s.Container) + "|" + s.name
		}
		if file != want+".json" {
			return nil, fmt.Errorf("the name of a file is that of its command: %s.json", want)
		}
		return s, s.check()
	}
	panic("unreachable")
}

var version = regexp.MustCompile(`^[1-9]\d*\.\d+\.\d+$`)

// check refuses what cannot be meant. What the words stand for is checked by
// the Go compiler, and what they say by the tests of package command.
func (s *spec) check() error {
	for field, v := range map[string]string{"summary": s.Summary, "since": s.Since, "group": s.Group} {
		if v == "" {
			return fmt.Errorf("%s is missing", field)
		}
	}
	if s.Arity == 0 {
		return fmt.Errorf("arity is missing")
	}
	if deprecated := slices.Contains(s.DocFlags, "DEPRECATED"); deprecated != (s.DeprecatedSince != "") || deprecated != (s.ReplacedBy != "") {
		return fmt.Errorf("the doc flag DEPRECATED, deprecated_since and replaced_by go together")
	}
	versions := []string{s.Since}
	for _, h := range s.History {
		versions = append(versions, h[0])
	}
	for i, k := range s.KeySpecs {
		if len(k.Flags) == 0 {
			return fmt.Errorf("key specification %d has no flags", i)
		}
		begin := count(k.BeginSearch.Index != nil, k.BeginSearch.Keyword != nil)
		find := count(k.FindKeys.Range != nil, k.FindKeys.KeyNum != nil)
		if begin > 1 || find > 1 || begin != find {
			return fmt.Errorf("key specification %d needs one way to begin the search and one to find keys, or both unknown", i)
		}
	}
	used := make([]bool, len(s.KeySpecs))
	if err := checkArguments(s.Arguments, used, &versions); err != nil {
		return err
	}
	if i := slices.Index(used, false); i >= 0 && !slices.Contains(s.KeySpecs[i].Flags, "NOT_KEY") {
		return fmt.Errorf("no argument is of key specification %d", i)
	}
	for _, v := range versions {
		if !version.MatchString(v) {
			return fmt.Errorf("%q is no version", v)
		}
	}
	return nil
}

func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

// argumentTypes are the types Redis knows. Those of several arguments come last.
var argumentTypes = []string{"string", "integer", "double", "key", "pattern", "unix-time", "pure-token", "oneof", "block"}

func checkArguments(args []argument, used []bool, versions *[]string) error {
	for _, a := range args {
		at := slices.Index(argumentTypes, a.Type)
		switch several := a.Type == "oneof" || a.Type == "block"; {
		case a.Name == "":
			return fmt.Errorf("an argument has no name")
		case at < 0:
			return fmt.Errorf("argument %s is of no known type: %q", a.Name, a.Type)
		case several != (len(a.Arguments) > 0):
			return fmt.Errorf("argument %s: oneof and block have arguments, others have none", a.Name)
		case (a.Type == "pure-token") && a.Token == "":
			return fmt.Errorf("argument %s is a token that is not named", a.Name)
		case a.Type != "pattern" && (a.Type == "key") != (a.KeySpecIndex != nil):
			return fmt.Errorf("argument %s: keys, and only keys and patterns of keys, have a key_spec_index", a.Name)
		}
		if i := a.KeySpecIndex; i != nil {
			if *i < 0 || *i >= len(used) {
				return fmt.Errorf("argument %s: there is no key specification %d", a.Name, *i)
			}
			used[*i] = true
		}
		for _, v := range []string{a.Since, a.DeprecatedSince} {
			if v != "" {
				*versions = append(*versions, v)
			}
		}
		if err := checkArguments(a.Arguments, used, versions); err != nil {
			return err
		}
	}
	return nil
}
