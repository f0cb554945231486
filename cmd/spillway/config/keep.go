package config

import (
	"slices"
	"sort"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/spillwaydb/spillway/core/sink"
)

// maxKeep bounds the numbers in keep.
const maxKeep = 1 << 20

var keepRules = []string{"last", "hourly", "daily", "weekly"}

// retention reads keep of a sink beside the data directory: a number, which is
// {last = …}, or an object of rules. Absent, and 0, is all.
func (d *decoder) retention(a *hcl.Attribute) (r sink.Retention) {
	if a == nil {
		return r
	}
	v, diags := a.Expr.Value(d.ctx)
	if diags.HasErrors() {
		d.f.diags = append(d.f.diags, diags...)
		return r
	}
	if !v.Type().IsObjectType() {
		r.Last = int(d.integer(a, 0, 0, maxKeep))
		return r
	}
	if !v.IsWhollyKnown() || v.IsNull() {
		d.errorf(a, "Wrong kind of value", "%q wants a number, or an object as in { last = 3, daily = 7 }.", a.Name)
		return r
	}
	rules := v.AsValueMap()
	names := make([]string, 0, len(rules))
	for name := range rules {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		n := rules[name]
		i := slices.Index(keepRules, name)
		if i < 0 {
			d.errorf(a, "Unknown rule", "%q has the rules last, hourly, daily and weekly; this is %q.%s", a.Name, name, DidYouMean(name, keepRules))
			continue
		}
		count, ok := wholeNumber(n)
		if !ok {
			d.errorf(a, "Out of range", "%q in %q wants a whole number from 0 to %d.", name, a.Name, maxKeep)
			continue
		}
		*[]*int{&r.Last, &r.Hourly, &r.Daily, &r.Weekly}[i] = count
	}
	if r.All() && len(rules) > 0 && !d.f.diags.HasErrors() {
		d.errorf(a, "Nothing to keep", "%q with only zeros would keep all; leave it out for that.", a.Name)
	}
	return r
}

func wholeNumber(v cty.Value) (int, bool) {
	if v.IsNull() || v.Type() != cty.Number {
		return 0, false
	}
	n, acc := v.AsBigFloat().Int64()
	return int(n), acc == 0 && n >= 0 && n <= maxKeep
}
