package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/spillwaydb/spillway/core/param"
)

// baseContext has the functions a file may call: cpus(), min(), max(),
// env(name, default), credential(name, default) and file(path), which starts at dir.
func baseContext(dir string) *hcl.EvalContext {
	return &hcl.EvalContext{
		Variables: map[string]cty.Value{},
		Functions: map[string]function.Function{
			"min":  stdlib.MinFunc,
			"max":  stdlib.MaxFunc,
			"cpus": function.New(&function.Spec{Type: function.StaticReturnType(cty.Number), Impl: cpus}),
			"env": function.New(&function.Spec{
				Params:   []function.Parameter{{Name: "name", Type: cty.String}},
				VarParam: &function.Parameter{Name: "default", Type: cty.String},
				Type:     function.StaticReturnType(cty.String), Impl: env,
			}),
			"credential": function.New(&function.Spec{
				Params:   []function.Parameter{{Name: "name", Type: cty.String}},
				VarParam: &function.Parameter{Name: "default", Type: cty.String},
				Type:     function.StaticReturnType(cty.String), Impl: credential,
			}),
			"file": function.New(&function.Spec{
				Params: []function.Parameter{{Name: "path", Type: cty.String}},
				Type:   function.StaticReturnType(cty.String), Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
					return readFile(beside(dir, args[0].AsString()))
				},
			}),
		},
	}
}

func cpus([]cty.Value, cty.Type) (cty.Value, error) {
	return cty.NumberIntVal(int64(runtime.NumCPU())), nil
}

func env(args []cty.Value, _ cty.Type) (cty.Value, error) {
	name := args[0].AsString()
	if v, ok := os.LookupEnv(name); ok {
		return cty.StringVal(v), nil
	}
	if len(args) > 1 {
		return args[1], nil
	}
	return cty.NilVal, function.NewArgErrorf(0, "the environment variable %s is not set; env(%q, \"…\") would give it a default", name, name)
}

// credential reads what systemd's LoadCredential= hands the service: a file of that
// name in $CREDENTIALS_DIRECTORY.
func credential(args []cty.Value, _ cty.Type) (cty.Value, error) {
	name := args[0].AsString()
	if name == "" || name != filepath.Base(name) {
		return cty.NilVal, function.NewArgErrorf(0, "%q is not the name of a credential", name)
	}
	if dir := os.Getenv("CREDENTIALS_DIRECTORY"); dir != "" {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) { //nolint:gosec // where the service manager says
			return readFile(path)
		}
	}
	if len(args) > 1 {
		return args[1], nil
	}
	return cty.NilVal, function.NewArgErrorf(0, "the service was given no credential %s; credential(%q, \"…\") would give it a default", name, name)
}

// maxIncluded bounds what file() reads.
const maxIncluded = 1 << 20

// beside is a path that the configuration in dir names: where the daemon is
// started from does not change what it reads.
func beside(dir, path string) string {
	if path == "" || dir == "." || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func readFile(path string) (cty.Value, error) {
	path = filepath.Clean(path)
	f, err := os.Open(path) //nolint:gosec // what the operator names
	if err != nil {
		return cty.NilVal, function.NewArgErrorf(0, "%s", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return cty.NilVal, function.NewArgErrorf(0, "%s is not a file that can be read whole", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxIncluded+1))
	if err != nil {
		return cty.NilVal, function.NewArgErrorf(0, "%s", err)
	}
	if len(b) > maxIncluded {
		return cty.NilVal, function.NewArgErrorf(0, "%s has more than the %d bytes that file() reads at most", path, maxIncluded)
	}
	return cty.StringVal(strings.TrimRight(string(b), "\r\n")), nil
}

// value evaluates an attribute to the wanted type; ok is false when it is
// absent or wrong.
func (d *decoder) value(a *hcl.Attribute, want cty.Type) (cty.Value, bool) {
	if a == nil {
		return cty.NilVal, false
	}
	if d.unknownReference(a) {
		return cty.NilVal, false
	}
	v, diags := a.Expr.Value(d.ctx)
	d.f.diags = append(d.f.diags, diags...)
	if diags.HasErrors() {
		return cty.NilVal, false
	}
	v, err := convert.Convert(v, want)
	if err != nil || v.IsNull() || !v.IsWhollyKnown() {
		d.errorf(a, "Wrong kind of value", "%q wants %s.", a.Name, kindNames[want])
		return cty.NilVal, false
	}
	return v, true
}

// unknownReference reports plugin.NAME and filesystem.KIND.NAME of what the file
// does not have, with what was meant.
func (d *decoder) unknownReference(a *hcl.Attribute) bool {
	path, diags := hcl.AbsTraversalForExpr(a.Expr)
	if diags.HasErrors() || len(path) < 2 {
		return false
	}
	names := make([]string, len(path))
	for i, step := range path {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			names[i] = step.Name
		case hcl.TraverseAttr:
			names[i] = step.Name
		default:
			return false
		}
	}
	v, known := d.ctx.Variables[names[0]]
	if !known {
		return false
	}
	for i, name := range names[1:] {
		if !v.Type().IsObjectType() {
			return false
		}
		if v.Type().HasAttribute(name) {
			v = v.GetAttr(name)
			continue
		}
		var there []string
		for other := range v.Type().AttributeTypes() {
			there = append(there, other)
		}
		slices.Sort(there)
		so := strings.Join(names[:i+1], ".")
		detail := fmt.Sprintf("The file has no %s.%s.%s", so, name, DidYouMean(name, there))
		if len(there) == 0 {
			detail = fmt.Sprintf("The file has no %s at all.", so)
		}
		d.errorf(a, "Unknown "+names[0], "%s", detail)
		return true
	}
	return false
}

// kindNames say what a value has to be.
var kindNames = map[cty.Type]string{
	cty.String: "a string", cty.Number: "a number", cty.Bool: "true or false", stringList: "a list of strings",
	cty.Map(cty.String): "strings by name, as in { NAME = \"value\" }", cty.DynamicPseudoType: "a value",
}

var stringList = cty.List(cty.String)

func (d *decoder) str(a *hcl.Attribute, def string) string {
	if v, ok := d.value(a, cty.String); ok {
		return v.AsString()
	}
	return def
}

func (d *decoder) boolean(a *hcl.Attribute, def bool) bool {
	if v, ok := d.value(a, cty.Bool); ok {
		return v.True()
	}
	return def
}

func (d *decoder) integer(a *hcl.Attribute, def, lo, hi int64) int64 {
	v, ok := d.value(a, cty.Number)
	if !ok {
		return def
	}
	n, acc := v.AsBigFloat().Int64()
	if acc != 0 || n < lo || n > hi {
		d.errorf(a, "Out of range", "%q wants a whole number from %d to %d.", a.Name, lo, hi)
		return def
	}
	return n
}

// size reads bytes: a number, or a string as redis.conf spells sizes ("64mb").
func (d *decoder) size(a *hcl.Attribute, def int64) int64 {
	v, ok := d.value(a, cty.String)
	if !ok {
		return def
	}
	n, err := param.ParseMemory(v.AsString())
	if err != nil {
		d.errorf(a, "Not a size", "%q wants bytes, as in \"512mb\" or \"4gb\"; this is %q.", a.Name, v.AsString())
		return def
	}
	return n
}

func (d *decoder) duration(a *hcl.Attribute, def time.Duration) time.Duration {
	v, ok := d.value(a, cty.String)
	if !ok {
		return def
	}
	t, err := time.ParseDuration(v.AsString())
	if err != nil || t < 0 {
		d.errorf(a, "Not a duration", "%q wants a duration, as in \"30s\" or \"10m\"; this is %q.", a.Name, v.AsString())
		return def
	}
	return t
}

func (d *decoder) strings(a *hcl.Attribute) []string {
	v, ok := d.value(a, stringList)
	if !ok {
		return nil
	}
	var out []string
	for _, e := range v.AsValueSlice() {
		out = append(out, e.AsString())
	}
	return out
}

// oneOf reads a word out of a list and suggests the nearest for another.
func (d *decoder) oneOf(a *hcl.Attribute, def string, words ...string) string {
	s := d.str(a, def)
	for _, w := range words {
		if s == w {
			return s
		}
	}
	d.errorf(a, "Unknown value", "%q wants one of %s; this is %q.%s", a.Name, quoted(words), s, DidYouMean(s, words))
	return def
}

func (d *decoder) errorf(a *hcl.Attribute, summary, format string, args ...any) {
	r := a.Expr.Range()
	d.errorAt(&r, summary, format, args...)
}

func (d *decoder) errorAt(r *hcl.Range, summary, format string, args ...any) {
	d.f.diags = append(d.f.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Summary: summary, Detail: fmt.Sprintf(format, args...), Subject: r,
	})
}

// DidYouMean is " Did you mean …?" for the nearest of words, or nothing.
func DidYouMean(s string, words []string) string {
	best, dist := "", math.MaxInt
	for _, w := range words {
		if n := levenshtein.Distance(s, w, nil); n < dist {
			best, dist = w, n
		}
	}
	if dist <= 1+len(s)/3 {
		return fmt.Sprintf(" Did you mean %q?", best)
	}
	return ""
}

func quoted(words []string) string {
	q := make([]string, len(words))
	for i, w := range words {
		q[i] = fmt.Sprintf("%q", w)
	}
	return strings.Join(q, ", ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
