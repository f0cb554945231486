package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sort"
	"strings"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/internal/wire"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
)

// Component is one thing that a plugin offers: a sink.Stage or a sink.Sink as
// it is, which then takes no configuration, or what Stage and Sink return.
type Component interface {
	// Info names the component. What is served is chosen by Info().Name.
	Info() sink.Info
}

// Stage is a component that makes a stage out of the configuration the
// operator wrote. C is a struct with json tags; an attribute that it lacks is
// refused. mk is called at least once for each start of the plugin and each
// block in plugins.hcl; its error is what the operator reads.
func Stage[C any](name string, mk func(C) (sink.Stage, error)) Component {
	return &factory{kind: pluginpb.Kind_KIND_STAGE, name: name, mk: func(raw []byte) (Component, error) {
		c, err := decode[C](raw)
		if err != nil {
			return nil, err
		}
		s, err := mk(c)
		if s == nil { // a typed nil must not hide in the interface
			return nil, err
		}
		return s, err
	}}
}

// Sink is Stage for a sink.
func Sink[C any](name string, mk func(C) (sink.Sink, error)) Component {
	return &factory{kind: pluginpb.Kind_KIND_SINK, name: name, mk: func(raw []byte) (Component, error) {
		c, err := decode[C](raw)
		if err != nil {
			return nil, err
		}
		s, err := mk(c)
		if s == nil {
			return nil, err
		}
		return s, err
	}}
}

// factory makes stages or sinks of one kind.
type factory struct {
	kind pluginpb.Kind
	name string
	mk   func(raw []byte) (Component, error)
}

// Info implements Component.
func (f *factory) Info() sink.Info { return sink.Info{Name: f.name} }

// decode reads a configuration strictly.
func decode[C any](raw []byte) (C, error) {
	var c C
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(&c)
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &typ):
		// The value may be a secret: it is not shown.
		return c, fmt.Errorf("attribute %q wants %s", typ.Field, typ.Type)
	case err != nil:
		return c, errors.New(strings.Replace(strings.TrimPrefix(err.Error(), "json: "), "unknown field", "there is no attribute", 1))
	}
	if _, err := dec.Token(); err != io.EOF {
		return c, errors.New("there is more than one object")
	}
	return c, nil
}

// catalog is what a plugin offers, by kind and name.
type catalog map[componentKey]*factory

type componentKey struct {
	kind pluginpb.Kind
	name string
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// newCatalog checks and sorts what Serve was given.
func newCatalog(components []Component) (catalog, error) {
	if len(components) == 0 {
		return nil, errors.New("plugins.Serve was called with nothing to serve")
	}
	c := make(catalog)
	for _, comp := range components {
		f, err := factoryOf(comp)
		if err != nil {
			return nil, err
		}
		if !validName.MatchString(f.name) {
			return nil, fmt.Errorf("%q cannot be the name of a %s: want lower case letters, digits, - and _", f.name, wire.KindName(f.kind))
		}
		key := componentKey{f.kind, f.name}
		if c[key] != nil {
			return nil, fmt.Errorf("%s %q is served twice", wire.KindName(f.kind), f.name)
		}
		c[key] = f
	}
	return c, nil
}

func factoryOf(comp Component) (*factory, error) {
	var kind pluginpb.Kind
	switch comp := comp.(type) {
	case *factory:
		return comp, nil
	case sink.Stage:
		kind = pluginpb.Kind_KIND_STAGE
	case sink.Sink:
		kind = pluginpb.Kind_KIND_SINK
	default:
		return nil, fmt.Errorf("%T is neither a sink.Stage nor a sink.Sink", comp)
	}
	return &factory{kind: kind, name: comp.Info().Name, mk: func(raw []byte) (Component, error) {
		_, err := decode[struct{}](raw)
		return comp, err
	}}, nil
}

// sorted are the components in the order in which they are shown.
func (c catalog) sorted() []*factory {
	out := make([]*factory, 0, len(c))
	for _, f := range c {
		out = append(out, f)
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].kind != out[j].kind {
			return out[i].kind < out[j].kind
		}
		return out[i].name < out[j].name
	})
	return out
}
