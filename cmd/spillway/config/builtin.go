package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/spillwaydb/spillway/core/sink"
	"github.com/spillwaydb/spillway/plugins/age"
	"github.com/spillwaydb/spillway/plugins/blob"
	"github.com/spillwaydb/spillway/plugins/exec"
	"github.com/spillwaydb/spillway/plugins/gzip"
	"github.com/spillwaydb/spillway/plugins/lz4"
	"github.com/spillwaydb/spillway/plugins/sftp"
	"github.com/spillwaydb/spillway/plugins/zstd"
)

// stageKinds are the stages that need no plugin. Each is what a plugin may
// serve as well: its options are a struct with json tags.
var stageKinds = map[string]kind[sink.Stage]{
	zstd.Name: stageKind(zstd.New),
	lz4.Name:  stageKind(lz4.New),
	gzip.Name: stageKind(gzip.New),
	age.Name:  stageKind(age.New),
	exec.Name: stageKind(exec.New),
}

// sinkKinds are the sinks that need no plugin, beside "filesystem".
var sinkKinds = map[string]kind[sink.Sink]{
	blob.Name: kindOf(func(o blob.Options, name string, log hclog.Logger) (sink.Sink, error) {
		o.Name, o.Logger = name, log
		return blob.New(o)
	}),
	sftp.Name: kindOf(func(o sftp.Options, name string, log hclog.Logger) (sink.Sink, error) {
		o.Name, o.Logger = name, log
		return sftp.New(o)
	}),
}

// kind is a kind of stage or sink.
type kind[T any] struct {
	// attrs are the names of its attributes, with the type that a value is
	// converted to, or cty.DynamicPseudoType for one that reads JSON itself.
	attrs map[string]cty.Type
	// begin returns what takes the attributes, one by one, and what makes the
	// stage or the sink of them.
	begin func() (set func(name string, value json.RawMessage) error, mk Maker[T])
}

// Maker makes a stage or a sink that errors and logs call by name. Its error
// says what is wrong with the configuration.
type Maker[T any] func(name string, log hclog.Logger) (T, error)

func stageKind[O any](mk func(O) (sink.Stage, error)) kind[sink.Stage] {
	return kindOf(func(o O, _ string, _ hclog.Logger) (sink.Stage, error) { return mk(o) })
}

// kindOf is the kind whose options are the struct O.
func kindOf[O, T any](mk func(o O, name string, log hclog.Logger) (T, error)) kind[T] {
	k := kind[T]{attrs: make(map[string]cty.Type)}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[O]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			k.attrs[name] = ctyType(f.Type)
		}
	}
	k.begin = func() (func(string, json.RawMessage) error, Maker[T]) {
		o := new(O)
		set := func(name string, value json.RawMessage) error {
			b, err := json.Marshal(map[string]json.RawMessage{name: value})
			if err != nil {
				return err
			}
			return json.Unmarshal(b, o)
		}
		return set, func(name string, log hclog.Logger) (T, error) { return mk(*o, name, log) }
	}
	return k
}

// ctyType is what HCL calls a type of Go.
func ctyType(t reflect.Type) cty.Type {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		return cty.DynamicPseudoType
	}
	switch t.Kind() {
	case reflect.String:
		return cty.String
	case reflect.Bool:
		return cty.Bool
	case reflect.Int, reflect.Int64:
		return cty.Number
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			return stringList
		}
	}
	panic(fmt.Sprintf("config: options of the type %s cannot be written in HCL", t))
}

// names are the kinds of a table, and others, in order.
func names[T any](table map[string]T, others ...string) []string {
	return append(slices.Sorted(maps.Keys(table)), others...)
}

// options decodes the attributes of a block of some kind; ok is false when
// something is wrong with them. common are attributes that the block may have
// besides. given are the values, as an object.
func options[T any](d *decoder, k kind[T], body hcl.Body, common ...string) (mk Maker[T], given json.RawMessage, ok bool) {
	before := len(d.f.diags)
	attrs, diags := body.JustAttributes()
	d.f.diags = append(d.f.diags, diags...)
	set, mk := k.begin()
	all := make(map[string]json.RawMessage)
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		a := attrs[name]
		want, known := k.attrs[name]
		if !known {
			d.errorAt(&a.NameRange, "Unsupported argument", "An argument named %q is not expected here.%s", name, DidYouMean(name, names(k.attrs, common...)))
			continue
		}
		v, ok := d.value(a, want)
		if !ok {
			continue
		}
		if filePaths[name] && v.Type() == cty.String {
			v = cty.StringVal(beside(d.dir, v.AsString()))
		}
		raw, err := ctyjson.Marshal(v, v.Type())
		if err == nil {
			all[name] = raw
			err = set(name, raw)
		}
		if err != nil {
			d.errorf(a, "Wrong kind of value", "%q: %s.", name, inWords(err))
		}
	}
	given, err := json.Marshal(all)
	if err != nil {
		panic(fmt.Sprintf("config: values that were JSON do not marshal: %v", err))
	}
	return mk, given, len(d.f.diags) == before
}

// filePaths are the attributes of built-in stages and sinks that name a file to
// be read.
var filePaths = map[string]bool{"key_file": true, "known_hosts": true}

// inWords is an error of package json as the operator may read it.
func inWords(err error) string {
	if strings.HasPrefix(err.Error(), "json: cannot unmarshal number") {
		return "want a whole number"
	}
	return err.Error()
}

// place returns where to show what a constructor refuses: the attribute that it
// says is wrong, or the block.
func place(body hcl.Body, block hcl.Range) func(error) hcl.Range {
	attrs, _ := body.JustAttributes()
	return func(err error) hcl.Range {
		var bad *sink.OptionError
		if errors.As(err, &bad) && attrs[bad.Option] != nil {
			return attrs[bad.Option].Expr.Range()
		}
		return block
	}
}
