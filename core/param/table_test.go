package param_test

import (
	"math"
	"testing"

	"github.com/spillwaydb/spillway/core/param"
)

// settings are options of which a table keeps the values.
type settings struct {
	n      int
	values param.Values
}

// TestTable: a parameter with a field, one without, one that the machine decides,
// and one that nobody can choose.
func TestTable(t *testing.T) {
	whole := param.Int{Min: 0, Max: math.MaxInt64}
	type entry struct {
		param.Param
		field func(*settings) param.Var
	}
	table := param.NewTable([]entry{
		{param.Param{Name: "n", HCL: "n", Type: whole, Default: "7"}, func(s *settings) param.Var { return param.IntVar(&s.n) }},
		{param.Param{Name: "text", HCL: "text", Type: param.Text{}, Default: "d"}, nil},
		{param.Param{Name: "auto", HCL: "auto", Type: whole, Auto: "one per CPU"}, func(s *settings) param.Var { return param.IntVar(&s.n) }},
		{param.Param{Name: "fixed", Type: param.Text{}, Default: "f"}, nil},
	}, func(e *entry) param.Option[settings] {
		return param.Option[settings]{Param: &e.Param, Field: e.field}
	}, func(s *settings) *param.Values { return &s.values })

	if p := table.Params(); len(p) != 4 || p[0].Name != "n" || p[3].Name != "fixed" {
		t.Errorf("%d parameters", len(p))
	}
	var s settings
	table.Defaults(&s)
	if s.n != 7 || table.Var(&s, "text").String() != "d" || table.Var(&s, "fixed") != nil || table.Var(&s, "none") != nil {
		t.Errorf("%+v", s)
	}
	for name, text := range map[string]string{"n": "8", "text": "e"} {
		if err := table.Var(&s, name).Set(text); err != nil || table.Var(&s, name).String() != text {
			t.Errorf("%s: %v, %s", name, err, table.Var(&s, name))
		}
	}
	if table.Reset(&s, "n"); s.n != 7 || s.values["text"] != "e" {
		t.Errorf("%+v", s)
	}
}
